/** A worker over several databases: each by itself, so that one that is slow or out costs the others nothing. */
import { describe, expect, test, vi } from "vitest";
import { DatabaseError, QudoError } from "../../src/core/errors.js";
import { defineJob, fixed } from "../../src/index.js";
import { newFleet, twoSeas } from "./fleets.js";
import { gate, order, tune, until, type Gate } from "./support.js";

const orders = (kind: string, n: number) => Array.from({ length: n }, () => order(kind));

const listener = (): void => undefined;

describe("several databases", () => {
  test("are worked on at once; each job is settled where it was claimed, and told with its database", async () => {
    const seas = await twoSeas();
    const [a, b] = seas;
    const where: (string | null)[] = [];
    const job = defineJob("job", { run: (_, { database }) => void where.push(database) });
    await a.driver.insertJobs(orders("job", 30));
    await b.driver.insertJobs(orders("job", 20));
    const { fleet, events } = newFleet([job], seas);
    await until("all are done", () => fleet.stats.done === 50);
    for (const [{ driver, name }, n] of [
      [a, 30],
      [b, 20],
    ] as const) {
      expect(await driver.counts({})).toMatchObject([{ done: n, pending: 0 }]);
      expect(where.filter((one) => one === name)).toHaveLength(n);
      const told = events.filter(({ event }) => (event as { database?: string }).database === name);
      expect(told.filter((one) => one.name === "done")).toHaveLength(n);
      expect(told.filter((one) => one.name === "worker:started")).toHaveLength(1);
      expect(await driver.sessions()).toHaveLength(1);
    }
    await fleet.stop();
    for (const { driver } of seas) {
      expect(await driver.sessions()).toEqual([]);
      expect(await driver.audit()).toEqual([]);
    }
    expect(events.every(({ event }) => "database" in event)).toBe(true);
  });

  test("share the places: no more handlers at once than one database would have", async () => {
    const seas = await twoSeas();
    let running = 0;
    let most = 0;
    const job = defineJob("job", {
      run: async () => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setTimeout(resolve, 3));
        running--;
      },
    });
    for (const { driver } of seas) await driver.insertJobs(orders("job", 100));
    const { fleet } = newFleet([job], seas, { concurrency: 3 });
    await until("all are done", () => fleet.stats.done === 200);
    expect(most).toBe(3);
  });

  test("what is made ready in one wakes no other one", async () => {
    tune({ pollMs: 600_000, lookFirstMs: 600_000, lookLastMs: 600_000 });
    const seas = await twoSeas();
    const [a, b] = seas;
    let trips = 0;
    b.deaf = true;
    b.before = (operation) => void (operation === "trip" && trips++);
    const job = defineJob("job", {
      backoff: fixed("1ms"),
      run: (_, { attempt }) => {
        if (attempt < 5) throw new Error("again");
      },
    });
    const { fleet } = newFleet([job], seas);
    await until("the other one has looked", () => trips > 0);
    for (let done = 1; done <= 5; done++) {
      await a.driver.insertJobs(orders("job", 1));
      fleet.wake("a");
      await until("it is done", () => fleet.stats.done === done);
    }
    expect(trips).toBe(1);
    await b.driver.insertJobs(orders("job", 1));
    fleet.wake("b");
    await until("the other one is done", () => fleet.stats.done === 6);
  });

  test("a signal stops the workers of all", async () => {
    const seas = await twoSeas();
    const job = defineJob("job", { run: () => undefined });
    const { fleet, events } = newFleet([job], seas);
    await until("both have begun", () => events.length === 2);
    // Somebody else listens: the process does not end by it.
    process.on("SIGTERM", listener);
    try {
      process.emit("SIGTERM", "SIGTERM");
      await fleet.stopped;
    } finally {
      process.off("SIGTERM", listener);
    }
    for (const { driver } of seas) expect(await driver.sessions()).toEqual([]);
    expect(process.listenerCount("SIGTERM")).toBe(0);
  });

  test("the last word of a process gives back what runs in all of them", async () => {
    const seas = await twoSeas();
    const end = gate();
    let running = 0;
    const job = defineJob("job", { run: () => (running++, end.passed) });
    for (const { driver } of seas) await driver.insertJobs(orders("job", 2));
    const { fleet } = newFleet([job], seas);
    await until("all run", () => running === 4);
    fleet.force();
    await until("all are given back", () => fleet.stats.released === 4);
    for (const { driver } of seas)
      expect(await driver.counts({})).toMatchObject([{ pending: 2, reserved: 0, running: 0 }]);
    end.open();
  });
});

describe("a database that is out", () => {
  test("from the start is left alone, and is worked on as soon as it is back", async () => {
    const seas = await twoSeas();
    const [a, b] = seas;
    const job = defineJob("job", { run: () => undefined });
    for (const { driver } of seas) await driver.insertJobs(orders("job", 10));
    b.down = true;
    const { fleet, lines } = newFleet([job], seas);
    await until("those of the other one are done", () => fleet.stats.done === 10);
    expect(await a.driver.counts({})).toMatchObject([{ done: 10 }]);
    // By then its worker would by itself try again after seconds only.
    await until("it has been tried in vain", () => b.tries.length > 24);
    expect(b.state).not.toBe("healthy");
    b.down = false;
    const back = performance.now();
    await until("all are done", () => fleet.stats.done === 20);
    // A probe within 110 ms, and nobody sleeps on.
    expect(performance.now() - back).toBeLessThan(1_000);
    // The change is told by whoever watches the health: that everything fails meanwhile is no news.
    expect(lines).toEqual([]);
  });

  test("gets its completions again and again, and has them when it is back: no job runs twice", async () => {
    const seas = await twoSeas({ retryMs: 60_000 });
    const [a, b] = seas;
    const ends: Gate[] = [];
    const runs: string[] = [];
    const job = defineJob("job", {
      run: (_, { id, run }) => {
        runs.push(`${id}/${run}`);
        const end = gate();
        ends.push(end);
        return end.passed;
      },
    });
    await b.driver.insertJobs(orders("job", 5));
    const { fleet } = newFleet([job], seas, { lease: "10s" });
    await until("all run", () => ends.length === 5);
    b.down = true;
    for (const end of ends) end.open();
    await until("its circuit is open", () => b.state === "out");
    const tries = (): number => b.tries.filter((operation) => operation === "trip").length;
    await until("they were sent again", () => tries() > 3);
    await a.driver.insertJobs(orders("job", 2));
    await until("the other one goes on", () => ends.length === 7);
    ends.splice(0).forEach((end) => end.open());
    b.down = false;
    // What settles goes through while it is out, and proves that it is back.
    await until("all have ended", () => fleet.stats.done === 7);
    await until("its circuit is closed", () => b.state === "healthy");
    expect(new Set(runs).size).toBe(7);
    expect(await b.driver.counts({})).toMatchObject([{ done: 5, pending: 0, reserved: 0 }]);
    expect(await b.driver.audit()).toEqual([]);
  });

  test("for longer than the lease: the signals of its handlers are aborted, those of others are not", async () => {
    const seas = await twoSeas();
    const [a, b] = seas;
    const aborted: (string | null)[] = [];
    const done = gate();
    let running = 0;
    const job = defineJob("job", {
      run: (_, { signal, database }) => {
        running++;
        signal.addEventListener("abort", () => aborted.push(database));
        return done.passed;
      },
    });
    for (const { driver } of seas) await driver.insertJobs(orders("job", 2));
    newFleet([job], seas, { lease: "1s" });
    await until("all run", () => running === 4);
    b.down = true;
    await until("two are aborted", () => aborted.length === 2);
    expect(aborted).toEqual(["b", "b"]);
    done.open();
    await until("the others are done", async () => (await a.driver.counts({}))[0]!.done === 2);
    expect(aborted).toEqual(["b", "b"]);
  });

  test("keeps no place of the others: a job that waits for its payload is given back", async () => {
    const seas = await twoSeas();
    const [a, b] = seas;
    const large = { codec: 1, text: JSON.stringify("x".repeat(100_000)), bin: null };
    const job = defineJob("job", { run: () => undefined });
    await b.driver.insertJobs([order("job", { payload: large })]);
    b.before = (operation) => {
      if (operation === "payloads") b.down = true;
    };
    const { fleet } = newFleet([job], seas, { concurrency: 1 });
    await until("it is out", () => b.state !== "healthy");
    await a.driver.insertJobs(orders("job", 1));
    fleet.wake();
    await until("the other one's job is done", () => fleet.stats.done === 1);
    b.before = () => undefined;
    b.down = false;
    await until("it is done, too", () => fleet.stats.done === 2);
    expect(fleet.stats).toMatchObject({ failed: 0, abandoned: 0 });
  });

  test("does not hold up the end where nothing of it is held", async () => {
    const seas = await twoSeas({ retryMs: 60_000 });
    const b = seas[1];
    b.down = true;
    const opening = vi.spyOn(b.part.driver, "openSession");
    const job = defineJob("job", { run: () => undefined });
    await seas[0].driver.insertJobs(orders("job", 1));
    const { fleet } = newFleet([job], seas);
    await until("the job is done", () => fleet.stats.done === 1);
    // By then its worker would try again after a second or more.
    await until("it has been refused often", () => opening.mock.calls.length > 5);
    expect(b.state).toBe("out");
    const stopping = performance.now();
    await fleet.stop();
    expect(performance.now() - stopping).toBeLessThan(700);
  });

  test("that is lost to others begins again by itself", async () => {
    const seas = await twoSeas();
    const job = defineJob("job", { run: () => undefined });
    const { events } = newFleet([job], seas);
    const started = () => events.filter(({ name }) => name === "worker:started");
    await until("both have begun", () => started().length === 2);
    const [session] = await seas[1].driver.sessions();
    await seas[1].driver.reap([
      { id: session!.id, beat: session!.beat, cause: "gone", leaseMs: session!.leaseMs },
    ]);
    await seas[1].driver.insertJobs(orders("job", 1));
    await until("it has told so", () => events.some(({ name }) => name === "worker:lost"));
    expect(events.find(({ name }) => name === "worker:lost")!.event).toMatchObject({
      session: session!.id,
      database: "b",
    });
    await until("its job is done", () => events.some(({ name }) => name === "done"));
  });
});

describe("a database that does not answer", () => {
  test("keeps no place free for itself", async () => {
    const seas = await twoSeas();
    const [a, b] = seas;
    const ends: Gate[] = [];
    const job = defineJob("job", {
      run: () => {
        const end = gate();
        ends.push(end);
        return end.passed;
      },
    });
    const silence = gate();
    await b.driver.insertJobs(orders("job", 10));
    let asked = false;
    b.before = (operation) => {
      if (operation !== "trip") return undefined;
      asked = true;
      return silence.passed;
    };
    const { fleet } = newFleet([job], seas, { concurrency: 4 });
    await until("it is asked", () => asked);
    await a.driver.insertJobs(orders("job", 4));
    fleet.wake("a");
    await until("all places are the other one's", () => ends.length === 4);
    // It answers, too late: what it gave waits for the next places.
    silence.open();
    await until("it has given its jobs", async () => {
      const [lane] = await b.driver.counts({});
      return lane!.reserved + lane!.running > 0;
    });
    ends.splice(0).forEach((end) => end.open());
    await until("its jobs run", () => ends.length > 0);
    while (fleet.stats.done < 14) {
      ends.splice(0).forEach((end) => end.open());
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  });
});

describe("off", () => {
  test("nothing is claimed, what is held is settled, and active again it goes on at once", async () => {
    tune({ pollMs: 600_000, lookFirstMs: 600_000, lookLastMs: 600_000 });
    const seas = await twoSeas();
    const b = seas[1];
    b.deaf = true;
    const ends: Gate[] = [];
    const job = defineJob("job", {
      run: () => {
        const end = gate();
        ends.push(end);
        return end.passed;
      },
    });
    await b.driver.insertJobs(orders("job", 2));
    const { fleet } = newFleet([job], seas, { concurrency: 2 });
    await until("both run", () => ends.length === 2);
    await b.part.driver.setMode("off");
    await b.driver.insertJobs(orders("job", 1));
    ends.splice(0).forEach((end) => end.open());
    await until("both are done", () => fleet.stats.done === 2);
    fleet.wake();
    const [lane] = await b.driver.counts({});
    expect(lane).toMatchObject({ done: 2, pending: 1, reserved: 0 });
    await b.part.driver.setMode("active");
    await until("the third one runs", () => ends.length === 1);
    ends[0]!.open();
  });
});

describe("one that cannot work", () => {
  const wrong = new QudoError("QUDO_SCHEMA_TOO_NEW", "made by a newer one");

  test("says so and is tried again, while the others go on", async () => {
    tune({ retrySeconds: 0.05 });
    const seas = await twoSeas();
    const [a, b] = seas;
    let tries = 0;
    b.before = (operation) => {
      if (operation === "openSession" && ++tries < 3) throw wrong;
    };
    const job = defineJob("job", { run: () => undefined });
    for (const { driver } of seas) await driver.insertJobs(orders("job", 1));
    const { fleet, lines } = newFleet([job], seas);
    await until("both are done", () => fleet.stats.done === 2);
    expect(tries).toBe(3);
    expect(lines.filter((line) => line.includes("made by a newer one"))).toEqual(
      Array(2).fill("qudo: b: a worker ended: QudoError: made by a newer one"),
    );
    await fleet.stop();
    expect(await a.driver.sessions()).toEqual([]);
  });

  test("nor any other one: the worker has failed", async () => {
    const seas = await twoSeas();
    const refuse = (operation: string): void => {
      if (operation === "openSession") throw wrong;
    };
    for (const sea of seas) sea.before = refuse;
    const { fleet } = newFleet([defineJob("job", { run: () => undefined })], seas);
    await expect(fleet.stopped).rejects.toBe(wrong);
    await expect(fleet.stop()).rejects.toBe(wrong);
  });

  test("does not hold up the end", async () => {
    const seas = await twoSeas();
    seas[1].before = (operation) => {
      if (operation === "openSession") throw wrong;
    };
    const { fleet, lines } = newFleet([defineJob("job", { run: () => undefined })], seas);
    await until("it has failed", () => lines.length > 0);
    await fleet.stop();
    await fleet.stopped;
  });
});

describe("trouble", () => {
  test("says in which database, each for itself", async () => {
    const seas = await twoSeas();
    for (const sea of seas)
      sea.before = (operation) => {
        if (operation === "promote")
          throw new DatabaseError("QUDO_DATABASE_FAILED", "no such table", false);
      };
    const { lines, events } = newFleet([defineJob("job", { run: () => undefined })], seas);
    await until("both have told", () => lines.length >= 2);
    expect([...lines].sort()).toEqual([
      "qudo: a: maintenance failed and is tried again: no such table",
      "qudo: b: maintenance failed and is tried again: no such table",
    ]);
    expect(
      events.filter(({ name }) => name === "trouble").map(({ event }) => event),
    ).toContainEqual(expect.objectContaining({ what: "maintenance", database: "b" }));
  });
});

/** Of the jobs done while both databases have some, those of the one with fewer. The first fifth, while the databases are opened, is left out. */
async function share(handlerMs: number, concurrency: number, small: number): Promise<number> {
  const seas = await twoSeas();
  const [a, b] = seas;
  const ends = { a: 0, b: 0 };
  const before = { a: 0, b: 0 };
  const over = gate<number>();
  const job = defineJob("job", {
    run: async (_, { database }) => {
      if (handlerMs > 0) await new Promise((resolve) => setTimeout(resolve, handlerMs));
      ends[database as "a" | "b"]++;
      if (ends.b === small / 5) Object.assign(before, ends);
      const [a, b] = [ends.a - before.a, ends.b - before.b];
      if (ends.b === small) over.open(b / (a + b));
    },
  });
  for (let i = 0; i < 100; i++) await a.driver.insertJobs(orders("job", small));
  await b.driver.insertJobs(orders("job", small));
  newFleet([job], seas, { concurrency });
  return over.passed;
}

describe("fairness", () => {
  test.each([
    ["handlers that wait for a moment", 10, 10, 300],
    ["slow handlers", 80, 10, 60],
    ["an odd number of places", 60, 3, 20],
    ["one place", 20, 1, 20],
  ])("%s: a backlog of 100:1 gets no more than its share", async (_, ms, concurrency, small) => {
    const part = await share(ms, concurrency, small);
    expect(part).toBeGreaterThan(0.4);
    expect(part).toBeLessThan(0.6);
  });
});
