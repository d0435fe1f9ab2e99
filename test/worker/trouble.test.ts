/** One trouble of the database is one line in half a minute, however many parts of a worker meet it; another is told at once. */
import { afterEach, expect, test, vi } from "vitest";
import { DatabaseError } from "../../src/core/errors.js";
import { Trouble } from "../../src/worker/trouble.js";
import { silent } from "./support.js";

const full = new DatabaseError("QUDO_DATABASE_FULL", "no room", true);
const busy = new DatabaseError("QUDO_DATABASE_BUSY", "held by others", true);

afterEach(() => void vi.restoreAllMocks());

test("parts of one worker share their lines, by what is wrong", () => {
  let now = 1_000;
  vi.spyOn(performance, "now").mockImplementation(() => now);
  const logger = silent();
  const [beats, claims] = [new Trouble(logger), new Trouble(logger)];
  beats.met("a heartbeat", full);
  claims.met("claiming", full);
  beats.over();
  beats.met("a heartbeat", full);
  expect(logger.lines).toEqual(["qudo: a heartbeat failed and is tried again: no room"]);
  claims.met("claiming", busy);
  expect(logger.lines).toHaveLength(2);
  now += 29_999;
  claims.met("claiming", full);
  expect(logger.lines).toHaveLength(2);
  now += 1;
  claims.met("claiming", full);
  expect(logger.lines[2]).toBe("qudo: claiming failed and is tried again: no room");
  const other = silent();
  new Trouble(other).met("claiming", full);
  expect(other.lines).toHaveLength(1);
});
