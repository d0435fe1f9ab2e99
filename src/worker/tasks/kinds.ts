/** Definitions of what is fetched: those that are known, and for all else one with every default. */
import { InvalidInputError } from "../../core/errors.js";
import { defineJob, registry, type AnyJobDefinition, type Registry } from "../../core/job.js";
import { checkName, show } from "../../core/options.js";

/** What stands for "whatever there is" in the list of kinds of a session. */
const WHATEVER = "*";

/** What a consumer can fetch. */
export interface Fetched {
  /** Null: whatever there is. */
  readonly kinds: readonly string[] | null;
  /** Knows a definition of every kind. */
  readonly registry: Registry;
  /** Those that were given: by its Qudo, or to itself. */
  readonly defined: Registry;
}

/**
 * `known`: definitions of its Qudo.
 * @throws InvalidInputError for a list that is none, or holds what is neither a name nor a definition.
 */
export function fetchedKinds(given: unknown, known: Registry): Fetched {
  if (given === undefined)
    return {
      kinds: null,
      registry: new Definitions([WHATEVER], [...known.values()]),
      defined: known,
    };
  if (!Array.isArray(given) || given.length === 0)
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      `kinds is ${show(given)}; give names or definitions of jobs, as in [fetchPage, "http.head"], or leave it out for whatever there is.`,
    );
  const own = registry(given.filter((one) => typeof one !== "string"));
  const names = given.map((one) =>
    typeof one === "string" ? checkName(one, "job kind") : (one as AnyJobDefinition).kind,
  );
  const kinds = [...new Set(names)];
  const defined = new Map([...known, ...own]);
  return { kinds, registry: new Definitions(kinds, [...defined.values()]), defined };
}

/** Lists the kinds that are fetched; of any other, too, it makes a definition when asked. */
class Definitions extends Map<string, AnyJobDefinition> {
  private readonly all: Map<string, AnyJobDefinition>;

  constructor(kinds: readonly string[], known: readonly AnyJobDefinition[]) {
    super();
    this.all = new Map(known.map((job) => [job.kind, job]));
    for (const kind of kinds) this.set(kind, this.get(kind));
  }

  override get(kind: string): AnyJobDefinition {
    let job = this.all.get(kind);
    if (job === undefined) {
      job = defineJob(kind, { run: handedOut });
      this.all.set(kind, job);
    }
    return job;
  }
}

/** Never called: whoever fetches a task works on it. */
function handedOut(): undefined {
  return undefined;
}
