import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { DEFAULTS, LIMITS } from "../../src/core/defaults.js";
import { VERSION } from "../../src/core/version.js";

it("jobs of a killed worker run again within 50 s by default", () => {
  const { leaseMs, unchangedBeatMs, maintenanceMs, pollMs } = DEFAULTS;
  expect(leaseMs + unchangedBeatMs + 2 * maintenanceMs + pollMs).toBeLessThanOrEqual(50_000);
});

it("a session may miss a heartbeat without being taken for dead", () => {
  expect(DEFAULTS.leaseMs).toBeGreaterThan(2 * DEFAULTS.heartbeatMs);
});

it("a claim fits one statement, and a payload too", () => {
  expect(DEFAULTS.claimLimit).toBeLessThanOrEqual(LIMITS.rowsPerStatement);
  expect(LIMITS.payloadBytes).toBeLessThan(LIMITS.bytesPerStatement);
});

it("the version is the package's", () => {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  expect(VERSION).toBe((JSON.parse(text) as { version: string }).version);
});
