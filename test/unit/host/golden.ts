import * as fs from "node:fs";
import * as path from "node:path";

const FOLDER = path.join(__dirname, "__golden__");

/**
 * Compares a text with a file under `__golden__`. `UPDATE_GOLDEN=1` writes the files anew; read the
 * diff before it is committed.
 */
export function expectGolden(name: string, text: string): void {
  const file = path.join(FOLDER, name);
  if (process.env["UPDATE_GOLDEN"] === "1") {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text);
  }
  expect(text).toBe(fs.readFileSync(file, "utf8"));
}
