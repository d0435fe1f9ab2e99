/** The live view: only what changed is written, nothing but text goes into a pipe, and the terminal is given back. */
import { describe, expect, test } from "vitest";
import { openScreen } from "../../src/cli/screen.js";

const ESC = "\u001B[";

function terminal(rows = 5) {
  const written: string[] = [];
  const output = { isTTY: true, rows, write: (text: string) => written.push(text) };
  return { output, take: () => written.splice(0).join("") };
}

describe("on a terminal", () => {
  test("a picture is written once, and then only the lines that changed, all at once", () => {
    const { output, take } = terminal();
    using screen = openScreen(output);
    take();
    screen.draw(["a", "b", "c"]);
    expect(take()).toContain(`${ESC}1;1Ha${ESC}K${ESC}2;1Hb${ESC}K${ESC}3;1Hc${ESC}K`);
    screen.draw(["a", "B", "c"]);
    expect(take()).toBe(`${ESC}?2026h${ESC}2;1HB${ESC}K${ESC}?2026l`);
    screen.draw(["a", "B", "c"]);
    expect(take()).toBe("");
  });

  test("lines that are gone are wiped", () => {
    const { output, take } = terminal();
    using screen = openScreen(output);
    screen.draw(["a", "b", "c"]);
    take();
    screen.draw(["a"]);
    expect(take()).toBe(`${ESC}?2026h${ESC}2;1H${ESC}J${ESC}?2026l`);
  });

  test("what is longer than the terminal says so in its last line", () => {
    const { output, take } = terminal(3);
    using screen = openScreen(output);
    take();
    screen.draw(["a", "b", "c", "d", "e"]);
    const text = take();
    expect(text).toContain(`${ESC}3;1H… 3 more lines`);
    expect(text).not.toContain("c");
  });

  test("after a change of its size all is drawn anew", () => {
    const { output, take } = terminal();
    using screen = openScreen(output);
    screen.draw(["a", "b"]);
    take();
    screen.forget();
    screen.draw(["a", "b"]);
    expect(take()).toContain(`${ESC}1;1Ha`);
  });

  test("it is given back with its cursor, its own screen and its long lines", () => {
    const { output, take } = terminal();
    {
      using screen = openScreen(output);
      screen.draw(["a"]);
      expect(take()).toContain(`${ESC}?1049h`);
    }
    expect(take()).toBe(`${ESC}?7h${ESC}?25h${ESC}?1049l`);
  });
});

test("into a pipe goes text alone, one picture behind the other", () => {
  const written: string[] = [];
  {
    using screen = openScreen({ write: (text: string) => written.push(text) });
    screen.draw(["a", "b"]);
    screen.forget();
    screen.draw(["a", "b"]);
  }
  expect(written.join("")).toBe("a\nb\n\na\nb\n");
});
