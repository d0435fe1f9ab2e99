import { describe } from "vitest";
import { has, mariadb } from "../../servers/index.js";
import { mysqlUnderTest } from "./mysql.js";
import { provePairs } from "./pairs.js";

describe.skipIf(!(await has("mariadb")))("on MariaDB", () =>
  provePairs("MariaDB", async () => mysqlUnderTest(await mariadb({ durable: false }))),
);
