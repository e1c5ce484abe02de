/** The lab's GitLab as a service. */

import { writeGitLabConfig } from "../gitlab-instance";
import { fullName, SERVICES } from "../net/addresses";
import { certificateFile, PATHS } from "../paths";
import type { Service } from "./process";
import { labProgram } from "./program";

export function gitlabService(): Service {
  writeGitLabConfig();
  return labProgram(
    "gitlab",
    "lab/gitlab/main.ts",
    ["--state", PATHS.gitlab, "--config", PATHS.gitlabConfig],
    {
      inputs: [PATHS.gitlabConfig, certificateFile(fullName("gitlab"))],
      listens: [`${SERVICES.gitlab}:443`, PATHS.gitlabSocket],
      startLimit: 60,
      stopLimit: 20,
    },
  );
}
