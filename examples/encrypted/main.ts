/**
 * Payloads that nobody reads who only has the database; and the change to a new key while a job waits.
 * `npm run build && node examples/encrypted/dist/main.js`
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { argv } from "node:process";
import { pathToFileURL } from "node:url";
import { defineJob, Qudo } from "qudo";
import { encrypted, type Keys } from "./encrypted.js";

interface Patient {
  readonly name: string;
  readonly diagnosis: string;
}

/** What the program prints, line by line. */
export async function main(databases: string, say: (line: string) => void): Promise<void> {
  const all = new Map([["2026-01", randomBytes(32)]]);
  await enqueue({ all, current: "2026-01" }, { name: "Ada", diagnosis: "curiosity" });

  all.set("2026-11", randomBytes(32));
  const keys = { all, current: "2026-11" };
  await enqueue(keys, { name: "Grace", diagnosis: "a bug" });

  await using qudo = queue(keys);
  for await (const { payload } of qudo.jobs.list())
    say(`with the keys: ${JSON.stringify(payload)}`);
  await using stranger = new Qudo({ databases });
  for await (const { payload, unreadable } of stranger.jobs.list())
    say(`without them: ${JSON.stringify(payload)}, ${unreadable}`);

  const finished = new Promise<void>((resolve) => {
    let left = 2;
    qudo.on("done", () => --left === 0 && resolve());
  });
  await using _ = await qudo.work();
  await finished;

  function queue(keys: Keys): Qudo {
    const inform = defineJob("patient.inform", {
      serializer: encrypted(keys),
      run: ({ name }: Patient) => say(`told ${name}`),
    });
    return new Qudo({ databases, jobs: [inform] });
  }

  async function enqueue(keys: Keys, patient: Patient): Promise<void> {
    const inform = defineJob("patient.inform", {
      serializer: encrypted(keys),
      run: () => undefined,
    });
    await using qudo = new Qudo({ databases });
    await qudo.enqueue(inform, patient);
  }
}

if (argv[1] !== undefined && import.meta.url === pathToFileURL(argv[1]).href) {
  const folder = mkdtempSync(join(tmpdir(), "encrypted-"));
  try {
    await main(`sqlite:${join(folder, "jobs.db")}`, console.log);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
