import { describe } from "vitest";
import { has } from "../../servers/index.js";
import { provePairs } from "./pairs.js";
import { postgresUnderTest } from "./postgres.js";

describe.skipIf(!(await has("postgres")))("on PostgreSQL", () =>
  provePairs("PostgreSQL", postgresUnderTest),
);
