import { expect, test } from "vitest";
import { has } from "../servers/index.js";
import { librariesInstalled } from "../servers/installed.js";

test("the libraries of users are installed, or the run says that it left them out", async () => {
  expect(await has("libraries")).toBe(librariesInstalled());
});
