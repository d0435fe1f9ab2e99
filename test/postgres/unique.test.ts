/** Unique keys while somebody's transaction stays open: who waits for it, and who does not. */
import { describe, expect, test } from "vitest";
import { defineJob, Qudo } from "../../src/index.js";
import { has, postgres } from "../servers/index.js";
import { superuser } from "./support.js";

const note = defineJob("note", { run: (_payload: unknown) => undefined });

describe.skipIf(!(await has("postgres")))("a user's open transaction holds a key", () => {
  test.each(["commit", "rollback"])("jobs without keys do not wait for its %s", async (end) => {
    const server = await postgres({ durable: false });
    await using place = await server.newSchema();
    await using user = await superuser(place.url);
    await using qudo = new Qudo({ databases: { url: place.url, schema: place.name } });
    // Queue and kind are known: made in the user's transaction they would be waited for, too.
    await qudo.enqueue(note, 0);
    await user.query("begin");
    const held = await qudo.in(user).enqueue(note, 1, { uniqueKey: "k" });
    expect(held.status).toBe("inserted");
    const answered: string[] = [];
    const unique = qudo.enqueue(note, 2, { uniqueKey: "k" });
    const both = unique.then(() => answered.push("unique"));
    // In the same turn, and in later ones.
    await Promise.all([qudo.enqueue(note, 3), qudo.enqueue(note, 4)]);
    await qudo.enqueue(note, 5);
    expect(answered, "still waiting for the transaction").toEqual([]);
    await user.query(end);
    await both;
    expect((await unique).status).toBe(end === "commit" ? "unique" : "inserted");
  });
});
