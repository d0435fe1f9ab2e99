/** What judges the scenarios of several databases finds whatever may be wrong with them: each kind of wrong, forged, is told. */
import { describe, expect, test } from "vitest";
import type { Call, Story } from "./several/log.js";
import { judge, sharesOf, wrongChanges, wrongGaps, type Evidence } from "./several/oracle.js";

const call = (id: string, over: Partial<Call> = {}): Call => ({
  id,
  askedAt: 0,
  settledAt: 5,
  settled: "acked",
  database: null,
  ids: [],
  error: null,
  ...over,
});
const done = (job: string, run = 1) => ({ job, run, state: 1 });
const change = (from: string, to: string, at = 0) =>
  ({ at, log: "p", name: "pg", from, to, reason: null }) as const;
const NOTHING = { jobs: [], outcomes: [] };

/** Three jobs, one in each database, each done at its first run. */
function sound(): { story: Story; held: Evidence["held"] } {
  const ids = ["a-1", "b-1", "c-1"];
  const runs = ids.map((id) => ({ id, run: 1 }));
  const calls = ids.map((id) => call(id));
  return {
    story: { calls, starts: runs, done: runs, changes: [], lines: [] },
    held: {
      file: { jobs: ["a1"], outcomes: [done("a1")] },
      pg: { jobs: ["b1"], outcomes: [done("b1")] },
      my: { jobs: ["c1"], outcomes: [done("c1")] },
    },
  };
}

function wrongOf({ story, held }: ReturnType<typeof sound>, struck: Evidence["struck"] = []) {
  return judge({ story, held, struck, timed: [0, 1_000] }).wrong;
}

const withCalls = (calls: readonly Call[], held: Partial<Evidence["held"]> = {}) => {
  const base = sound();
  return { story: { ...base.story, calls }, held: { ...base.held, ...held } };
};

test("nothing is wrong with what is sound", () => expect(wrongOf(sound())).toEqual([]));

describe("it is told", () => {
  const [a, b, c] = sound().story.calls as [Call, Call, Call];
  const kept = (over: Partial<Evidence["held"]>) => withCalls([a, b, c], over);
  const unknown = { settled: "unknown", database: "pg", ids: ["b-1"] } as const;
  const atFault = [{ what: "fault", name: "pg", from: 1, to: 2, until: 9 } as const];

  test.each<[string, ReturnType<typeof sound>, string]>([
    [
      "an acknowledged job that is nowhere",
      kept({ pg: NOTHING }),
      "b-1: was acknowledged and is nowhere",
    ],
    [
      "a job in two databases",
      kept({ file: { jobs: ["a1", "b1"], outcomes: [done("a1")] } }),
      "b-1: is in file and pg",
    ],
    [
      "a job twice in one",
      kept({ pg: { jobs: ["b1", "b1"], outcomes: [done("b1")] } }),
      "b-1: is in pg and pg",
    ],
    [
      "a job that has not ended",
      kept({ my: { jobs: ["c1"], outcomes: [{ job: "c1", run: 1, state: 2 }] } }),
      "c-1: is in my and ended with []",
    ],
    [
      "a job that has ended twice",
      kept({ my: { jobs: ["c1"], outcomes: [done("c1"), done("c1", 2)] } }),
      "c-1: is in my and ended with [1,1]",
    ],
    [
      "a run with two outcomes",
      kept({ my: { jobs: ["c1"], outcomes: [{ job: "c1", run: 1, state: 5 }, done("c1")] } }),
      "c1/1: has two outcomes",
    ],
    ["a job of nobody's", withCalls([a, b]), "c1: nobody asked for it"],
    [
      "a call that was refused",
      withCalls([a, b, call("c-1", { settled: "refused", error: "X: y" })]),
      "c-1: was refused, and is there: X: y",
    ],
    [
      "a call that was never answered",
      withCalls([a, b, call("c-1", { settled: null, settledAt: null })]),
      "c-1: was never answered",
    ],
    [
      "an unknown outcome without its id",
      withCalls([a, call("b-1", { ...unknown, ids: [] }), c]),
      "b-1: is unknown, and its error does not name it",
    ],
    [
      "an unknown outcome in another database than it says",
      withCalls([a, call("b-1", { ...unknown, database: "my" }), c]),
      "b-1: is unknown in my, and is in pg",
    ],
  ])("%s", (_, evidence, wrong) => expect(wrongOf(evidence, atFault)).toContain(wrong));

  test("an unknown outcome of a call that was in flight at no fault", () => {
    const evidence = withCalls([a, call("b-1", unknown), c]);
    expect(wrongOf(evidence, atFault)).toEqual([]);
    expect(wrongOf(evidence, [{ ...atFault[0]!, from: 6, to: 7 }])).toEqual([
      "b-1: unknown, but not in flight when a fault began",
    ]);
  });

  test("a run that was started twice, or told twice to be done", () => {
    const { story, held } = sound();
    const again = [...story.starts, { id: "a-1", run: 1 }];
    expect(wrongOf({ story: { ...story, starts: again, done: again }, held })).toEqual([
      "a1/1: was started twice",
      "a1: was told twice to be done",
    ]);
  });

  test("calls that take too long", () =>
    expect(wrongOf(withCalls([a, b, call("c-1", { settledAt: 1_600 })]))).toEqual([
      "p99 of enqueue is 1600 ms",
    ]));

  test("visits that come too early or too late", () =>
    expect(wrongGaps([0, 1_000, 1_800, 3_200], { least: 900, most: 1_100 })).toEqual([800, 1_400]));

  test("shares that are not even", () => {
    const { story, held } = sound();
    expect(sharesOf(story.calls, held)).toEqual({ file: 1, pg: 1, my: 1 });
    const all = { file: NOTHING, pg: NOTHING, my: { jobs: ["a1", "b1", "c1"], outcomes: [] } };
    expect(sharesOf(story.calls, all)).toEqual({ file: 0, pg: 0, my: 3 });
  });

  test("changes that do not follow from one another", () => {
    expect(wrongChanges([change("healthy", "out"), change("out", "healthy")], [])).toEqual([]);
    expect(wrongChanges([change("healthy", "out"), change("healthy", "out")], [])).toEqual([
      "p pg: from healthy, and it was out",
    ]);
    const tooSoon = [change("healthy", "out", 1), change("out", "healthy", 5)];
    expect(wrongChanges(tooSoon, atFault)).toEqual(["p pg: healthy while fault"]);
  });
});
