/** For sorting: numbers, and texts by their characters, whatever the language. */
export function compare<T extends string | number>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
