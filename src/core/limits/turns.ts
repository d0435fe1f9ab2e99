/** Keys take turns: whoever has many jobs waits no less for each of them than whoever has one. */

/** A key with jobs that wait, and how many of them may pass its own limits: at least one. */
export interface OpenKey {
  readonly hash: string;
  readonly room: number;
}

/** How many each key may have of `n`: one after the other gets one more, until all is given out or nobody may have more. */
export function sharesOf(keys: readonly OpenKey[], n: number): number[] {
  const shares = keys.map(() => 0);
  let left = n;
  for (let open = keys.map((_, i) => i); open.length > 0 && left > 0;) {
    // As many rounds at once as nobody's room ends in, the last of them perhaps not to its end.
    const rounds = Math.min(...open.map((i) => keys[i]!.room - shares[i]!));
    const each = Math.min(rounds, Math.floor(left / open.length));
    if (each === 0) {
      for (const i of open.slice(0, left)) shares[i]!++;
      return shares;
    }
    for (const i of open) shares[i]! += each;
    left -= each * open.length;
    open = open.filter((i) => shares[i]! < keys[i]!.room);
  }
  return shares;
}
