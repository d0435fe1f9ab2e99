/** The numbered interleaving 11: what replaces a job may have its unique key, and neither of them is ever lost. */
import { describe, expect, test } from "vitest";
import type { Stage } from "./stage.js";
import { ENGINES } from "./engines.js";
import { OPERATIONS, type Call } from "./operations.js";
import { id, KEY_HELD, newJob } from "./scenario.js";

const replace = OPERATIONS["settle with children"]!;

const enqueue: Call = {
  method: "insertJobs",
  args: [[newJob("wants the key", "held", { uniqueKey: KEY_HELD })]],
};

const names = ["running", "child, keyed", "child", "wants the key"];

const statesOf = async ({ driver }: Stage): Promise<(string | undefined)[]> =>
  (await driver.getJobs(names.map(id))).map((row) => row?.state);

describe.each(ENGINES)("on $name", (engine) => {
  const AFTER = ["done", "pending", "pending", undefined];

  const others: readonly (readonly [string, Call])[] = [
    ["a job that wants the same key", enqueue],
    ["the same sent again", replace("second")],
    ["a heartbeat that finds the lease finished", OPERATIONS["heartbeat"]!("second")],
  ];

  test.each(others)(
    "11: it is replaced, and then comes %s; or the other way round",
    async (_, other) => {
      const stage = await engine.stage();
      try {
        const look = async (): Promise<void> => expect(await statesOf(stage)).toEqual(AFTER);
        const one = await stage.everywhere(replace("first"), other, { look });
        const two = await stage.everywhere(other, replace("second"), { look });
        expect([...one.wrong, ...two.wrong]).toEqual([]);
        expect(one.played + two.played).toBeGreaterThan(5);
      } finally {
        await stage.close();
      }
    },
  );

  test.each(["cancel", "reap", "dismiss", "release", "purge"])(
    "11: by %s and replace the run is decided once: its children are there with its end, or not at all",
    async (name) => {
      const stage = await engine.stage();
      const seen = new Set<string>();
      try {
        const look = async (): Promise<void> => {
          const [job, ...children] = await statesOf(stage);
          const done = job === "done";
          expect(children).toEqual(done ? AFTER.slice(1) : [undefined, undefined, undefined]);
          seen.add(done ? "replaced" : "not");
        };
        const one = await stage.everywhere(replace("first"), OPERATIONS[name]!("second"), { look });
        const two = await stage.everywhere(OPERATIONS[name]!("first"), replace("second"), { look });
        expect([...one.wrong, ...two.wrong]).toEqual([]);
        expect(seen).toEqual(new Set(["replaced", "not"]));
      } finally {
        await stage.close();
      }
    },
  );
});
