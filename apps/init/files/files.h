// The second mode of the program: one operation on the files of the sandbox, asked for by argument, answered in records
// on stdout (README.md beside this folder, "Files", is the normative text).
#ifndef SALLYPORT_FILES_H
#define SALLYPORT_FILES_H

#define FILES_WORD "files"

// Acts on the arguments behind FILES_WORD.
_Noreturn void files_run(int argc, char **argv);

#endif
