import * as fc from "fast-check";

import { parseBundle, renderBundle } from "../../../host/bundle";
import { shellQuote } from "../../../host/files";

const content = fc
  .array(
    fc.stringMatching(/^[^\r\n\0]*$/).filter((line) => !line.startsWith("==> ")),
    { maxLength: 8 },
  )
  .map((lines) => lines.map((line) => `${line}\n`).join(""))
  .filter((text) => text !== "");

const files = fc.uniqueArray(
  fc.record({
    path: fc.stringMatching(/^(\/[a-z0-9_-]{1,8}){1,4}$/),
    mode: fc.constantFrom("0644", "0600", "0755"),
    content,
  }),
  { selector: (file) => file.path },
);

it("reads back what it has written", () => {
  fc.assert(
    fc.property(files, (list) => {
      expect(parseBundle(renderBundle("docker", list))).toEqual({ step: "docker", files: list });
    }),
  );
});

it.each([
  ["a relative path", { path: "etc/x", mode: "0644", content: "x\n" }, "is not a path and a mode"],
  ["a path upwards", { path: "/etc/../x", mode: "0644", content: "x\n" }, "is not a path"],
  ["a path with a space", { path: "/etc/a b", mode: "0644", content: "x\n" }, "is not a path"],
  ["an odd mode", { path: "/etc/x", mode: "644", content: "x\n" }, "is not a path and a mode"],
  ["no last line feed", { path: "/etc/x", mode: "0644", content: "x" }, "does not end with"],
  ["a false header", { path: "/etc/x", mode: "0644", content: "==> /y 0644\n" }, "starts a file"],
  ["a carriage return", { path: "/etc/x", mode: "0644", content: "x\r\n" }, "carriage return"],
])("refuses %s", (_name, file, message) => {
  expect(() => renderBundle("docker", [file])).toThrow(message);
});

it("refuses a path that comes twice", () => {
  const file = { path: "/etc/x", mode: "0644", content: "x\n" };
  expect(() => renderBundle("docker", [file, file])).toThrow("/etc/x comes twice");
});

it.each(["", "x", "# bundle docker v2\n", "# bundle other v1\n", "# bundle docker v1\nx\n"])(
  "does not take %j for a bundle",
  (text) => {
    expect(() => parseBundle(text)).toThrow();
  },
);

it.each([
  ["", "''"],
  ["it's", `'it'\\''s'`],
  ["$(id) `id`", "'$(id) `id`'"],
])("quotes %j for a shell", (value, quoted) => {
  expect(shellQuote(value)).toBe(quoted);
});
