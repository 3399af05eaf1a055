// The operations, each of which ends the program with its answer.
#ifndef SALLYPORT_OPERATIONS_H
#define SALLYPORT_OPERATIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

// Entries of one directory that are listed; their names are held at once, to be sorted.
#define MAX_LISTED_ENTRIES (256 * 1024)
// Links at the end of a path to write to; the kernel follows as many.
#define MAX_LINKS 40
// Directories held open at the same time while a tree is removed.
#define MAX_OPEN_DIRECTORIES 64
// Times that a directory which others fill again is emptied.
#define MAX_REMOVE_ROUNDS 16
// File bytes of one read, and of one DATA record.
#define PIECE_BYTES (128 * 1024)

_Noreturn void files_stat(const char *path);
_Noreturn void files_list(const char *path);
// The bytes from an offset on, at most so many.
_Noreturn void files_read(const char *path, uint64_t offset, uint64_t length);
// A file from records on stdin, of this mode if it is new.
_Noreturn void files_write(const char *path, mode_t mode);
_Noreturn void files_make_directory(const char *path, bool parents);
_Noreturn void files_remove(const char *path, bool recursive);

#endif
