/**
 * SQL with its values beside it: sql`select 1 from ${t.job} where id = ${id}`. What stands in a hole is never text of the
 * statement but a value, or another query. How a value is written (`$1`, `?`) and sent is the dialect's business.
 */

/** An id on its way into a statement: 16 bytes there, text here. */
export class Id {
  constructor(readonly text: string) {}
}

/** A list that becomes one value, for engines that have arrays; `type` is the engine's name for its elements. */
export class List {
  constructor(
    readonly type: string,
    readonly values: readonly unknown[],
  ) {}
}

export type Value = null | number | string | boolean | Uint8Array | Id | List;

export class Query {
  /** One text more than parts. */
  constructor(
    readonly texts: readonly string[],
    readonly parts: readonly (Query | Value)[],
  ) {}
}

export function sql(texts: TemplateStringsArray, ...parts: readonly (Query | Value)[]): Query {
  return new Query(texts, parts);
}

/** Text of ours as it stands: names of tables and columns, never anything that came from outside. */
export function raw(text: string): Query {
  return new Query([text], []);
}

export const NOTHING = raw("");

/** An id as a value. */
export function id(text: string): Id {
  return new Id(text);
}

/** Several as one, with a text between them. */
export function join(queries: readonly Query[], separator = ", "): Query {
  const between = Array.from({ length: Math.max(0, queries.length - 1) }, () => separator);
  return queries.length === 0 ? NOTHING : new Query(["", ...between, ""], queries);
}

/** What a client library takes. */
export interface Statement {
  readonly text: string;
  readonly values: readonly Value[];
}

/** The statement's whole text, its values in order. */
export function render(query: Query, placeholder: (n: number, value: Value) => string): Statement {
  const values: Value[] = [];
  const write = ({ texts, parts }: Query): string => {
    let text = texts[0]!;
    for (const [i, part] of parts.entries()) {
      text += part instanceof Query ? write(part) : placeholder(values.push(part), part);
      text += texts[i + 1]!;
    }
    return text;
  };
  return { text: write(query), values };
}
