// Tables of a document in Markdown, for tests that hold what it says against the code.

/** Each row below the head of the tables in a section (`## `): what stands in its columns. */
export function rowsOf(document: string, heading: string): readonly (readonly string[])[] {
  const [, section = ""] = document.split(`\n## ${heading}\n`);
  const rows = (section.split("\n## ")[0] ?? "").split("\n").filter((line) => line.startsWith("| "));
  return rows.slice(1).map((line) =>
    line
      .split("|")
      .map((cell) => cell.trim())
      .slice(1, -1),
  );
}

/** What stands between backquotes. */
export function wordsOf(cell = ""): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, word = ""]) => word);
}

/** Numbers with a comma and a space between them, and commas within them: "1,024, 512". */
export function numbersOf(cell = ""): number[] {
  return cell.split(", ").map((text) => Number(text.replaceAll(",", "")));
}

/** By each word of a row's first column, the number at the same place in its second. */
export function numbersByWord(rows: readonly (readonly string[])[]): Record<string, number | undefined> {
  const pairs = rows.flatMap(([words, cell]) => {
    const numbers = numbersOf(cell);
    return wordsOf(words).map((word, index) => [word, numbers[index]] as const);
  });
  return Object.fromEntries(pairs);
}
