import { writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { newFolder, run } from "./support/cli.js";

let folder: ReturnType<typeof newFolder>;

beforeEach(() => (folder = newFolder()));
afterEach(() => folder.remove());

async function refused(name: string, says: string): Promise<void> {
  const file = folder.path(name);
  const { code, stderr } = await run([
    "work",
    "--database",
    `sqlite:${folder.path("jobs.db")}`,
    "--jobs",
    file,
  ]);
  expect(stderr).toContain(`error: --jobs ${file}: `);
  expect(stderr).toContain(says);
  expect(stderr).toContain("[QUDO_JOBS_FILE]");
  expect(code).toBe(2);
}

describe("job files that cannot be used", () => {
  const files = {
    "none.mjs": {
      text: "export const a = 1;",
      says: "exports no job definitions. Export what defineJob returns",
    },
    "broken.mjs": { text: "const = ;", says: "cannot be loaded: SyntaxError" },
    "throws.mjs": {
      text: 'throw new Error("no config");',
      says: "cannot be loaded: Error: no config",
    },
  };

  it.each(Object.entries(files))("%s", async (name, { text, says }) => {
    writeFileSync(folder.path(name), text);
    await refused(name, says);
  });

  it("one that is not there", () => refused("missing.mjs", "There is no such file"));

  it.skipIf("typescript" in process.features && Boolean(process.features.typescript))(
    "TypeScript, where Node cannot run it (newer ones can)",
    async () => {
      writeFileSync(folder.path("jobs.ts"), "export const a: number = 1;");
      await refused("jobs.ts", "Compile it and give the .js file, or use Node ≥ 22.18");
    },
  );
});
