/**
 * The first rows of many lists that are in order each, read in pieces: no list is read further than it is needed. Whoever reads puts
 * pieces in where they are wanted, until nothing is.
 */
export class Merge<Row> {
  /** The first rows of all, as far as they are known. */
  readonly rows: Row[] = [];
  /** Rows of a piece. */
  readonly piece: number;
  private readonly lists: { rows: readonly Row[]; at: number; more: boolean }[];

  constructor(
    lists: number,
    private readonly limit: number,
    private readonly compare: (a: Row, b: Row) => number,
  ) {
    this.lists = Array.from({ length: lists }, () => ({ rows: [], at: 0, more: true }));
    this.piece = Math.min(limit, Math.max(20, Math.ceil((2 * limit) / Math.max(1, lists))));
  }

  /** Lists whose next piece has to be known before anything goes on, each with the last row that is known of it. */
  get wanted(): { readonly list: number; readonly last: Row | undefined }[] {
    if (this.rows.length === this.limit) return [];
    return this.lists.flatMap(({ rows, at, more }, list) =>
      more && at === rows.length ? [{ list, last: rows.at(-1) }] : [],
    );
  }

  /** The next piece of a list; one that is not full is its last. */
  put(list: number, rows: readonly Row[]): void {
    this.lists[list] = { rows, at: 0, more: rows.length === this.piece };
  }

  /** Goes on as far as it can. */
  fill(): void {
    while (this.rows.length < this.limit) {
      let first: (typeof this.lists)[number] | undefined;
      for (const list of this.lists) {
        if (list.at === list.rows.length) {
          if (list.more) return;
        } else if (
          first === undefined ||
          this.compare(list.rows[list.at]!, first.rows[first.at]!) < 0
        )
          first = list;
      }
      if (first === undefined) return;
      this.rows.push(first.rows[first.at++]!);
    }
  }
}
