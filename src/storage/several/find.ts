/** Single jobs in several databases: each is wherever it is, and found there. What is nowhere may be where nobody could look. */
import { askAll, complete } from "../../core/ask.js";
import type { Driver, Ending, JobRow, LogRow, Part, Situation, StoredPayload } from "../driver.js";

type Finding = Pick<Driver, "getJobs" | "endings" | "payloads" | "listLog" | "situation">;

export function finding(parts: readonly Part[]): Finding {
  return {
    async getJobs(ids) {
      const { answers, unasked } = await askAll(parts, async ({ name, driver }) =>
        (await driver.getJobs(ids)).map((row) => row && { ...row, database: name }),
      );
      const found = bestOf<JobRow | null>(ids, answers, [isThere]);
      return found.every(isThere) ? found : complete(unasked, found);
    },
    async endings(ids) {
      const { answers, unasked } = await askAll(parts, ({ driver }) => driver.endings(ids));
      const found = bestOf(ids, answers, [isLiving, hasEnded]);
      return found.some(isAbsent) ? complete(unasked, found) : found;
    },
    async situation(id) {
      const { answers, unasked } = await askAll(parts, async ({ name, driver }) => {
        const found = await driver.situation(id);
        return found && { ...found, database: name };
      });
      const [found] = bestOf<Situation | null>([id], answers.map(asOne), [isThere]);
      return found ?? complete(unasked, null);
    },
    async payloads(ids) {
      const { answers, unasked } = await askAll(parts, ({ driver }) => driver.payloads(ids));
      const found = bestOf<StoredPayload | null>(ids, answers, [isThere]);
      return found.every(isThere) ? found : complete(unasked, found);
    },
    async listLog(query) {
      const { answers, unasked } = await askAll(parts, ({ driver }) => driver.listLog(query));
      const rows = answers.flatMap(({ said }) => said).toSorted(inLogOrder);
      const found = rows.slice(0, query.limit);
      // A job stands in one database: its log is whole wherever there is some.
      return found.length > 0 ? found : complete(unasked, found);
    },
  };
}

/** For each id what is preferred most of what was said. `preferences`: from the least to the most. */
function bestOf<Said>(
  ids: readonly string[],
  answers: readonly { readonly said: readonly Said[] }[],
  preferences: readonly ((said: Said) => boolean)[],
): Said[] {
  const rank = (said: Said): number => preferences.findLastIndex((prefers) => prefers(said));
  return ids.map((_, i) =>
    answers
      .map(({ said }) => said[i]!)
      .reduce((best, one) => (rank(one) > rank(best) ? one : best)),
  );
}

const asOne = <Said>({ said }: { readonly said: Said }) => ({ said: [said] });

const isThere = (said: unknown): boolean => said !== null;
const isAbsent = ({ status }: Ending): boolean => status === "absent";
const isLiving = ({ status }: Ending): boolean => status === "living";
const hasEnded = ({ status }: Ending): boolean => status === "ended";

function inLogOrder(a: LogRow, b: LogRow): number {
  return a.run - b.run || a.seq - b.seq;
}
