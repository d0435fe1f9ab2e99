import type { Violation } from "../driver.js";
import type { Engine } from "./engine.js";
export async function audit(_: Engine): Promise<Violation[]> {
  return [];
}
