import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { ROOT } from "../../../../lab/paths";
import { bundle } from "../../../../lab/services/bundle";

describe.each(["gitlab", "packages", "proxmox"])("the bundle of %s", (name) => {
  const { text, sources } = bundle(`lab/${name}/main.ts`);

  it("runs on plain Node, with the npm packages of the checkout", () => {
    const folder = mkdtempSync(path.join(tmpdir(), "lab-bundle-"));
    try {
      const file = path.join(folder, "main.cjs");
      writeFileSync(file, text);
      const { status, stderr } = spawnSync(process.execPath, [file], {
        encoding: "utf8",
        timeout: 30_000,
        env: { NODE_PATH: path.join(ROOT, "node_modules") },
      });
      expect(stderr).toContain(`${name}: usage: tsx lab/${name}/main.ts`);
      expect(status).toBe(1);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("has sources that leave the question of where they are to paths.ts", () => {
    const askers = sources.filter((source) =>
      readFileSync(path.join(ROOT, source), "utf8").includes("__dirname"),
    );
    expect(sources).toContain(`lab/${name}/main.ts`);
    expect(askers.filter((source) => source !== "lab/paths.ts")).toEqual([]);
  });
});

it("knows the checkout's folder in a bundle", () => {
  expect(bundle("lab/paths.ts").text).toContain(JSON.stringify(path.join(ROOT, "lab")));
});
