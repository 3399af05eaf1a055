// A header field as HPACK knows it.

export interface HeaderField {
  /** Bytes as latin1, of the value too. */
  readonly name: string;
  readonly value: string;
  /** Never to be indexed, by whoever hands it on either (RFC 7541, section 7.1.3). */
  readonly sensitive: boolean;
}

/** What a field counts for in a table and in SETTINGS_MAX_HEADER_LIST_SIZE (RFC 7541, section 4.1). */
export function fieldBytes(field: HeaderField): number {
  return field.name.length + field.value.length + 32;
}
