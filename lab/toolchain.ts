/** The programs that tools/toolchain.sh finds or builds. */

import path from "node:path";

import { CACHE, PATHS, ROOT } from "./paths";
import { LabError } from "./progress";
import { attach } from "./run";

/** Seconds: from nothing it takes about ten minutes on two cores. */
const LIMIT = 3600;

/** Builds what is missing, and puts the plugins where Pulumi looks for them. */
export async function ensureToolchain(): Promise<void> {
  for (const args of [["ensure"], ["install", PATHS.pulumiHome]]) {
    const status = await attach("bash", [path.join(ROOT, "tools", "toolchain.sh"), ...args], {
      limit: LIMIT,
      env: { ...process.env, GITLAB_RUNNERS_CACHE: CACHE },
    });
    if (status !== 0)
      throw new LabError(`the toolchain could not be prepared; see the lines above`);
  }
}
