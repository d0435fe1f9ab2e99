import type { HandleLike } from "../../src/storage/sqlite/index.js";

export function openPlain(path: string): HandleLike;
