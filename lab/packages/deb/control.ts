/** Control files of the packages, with the fields of GitLab's own. */

export const RUNNER_PACKAGE = "gitlab-runner";
export const HELPER_PACKAGE = "gitlab-runner-helper-images";

/** Version of the packages of a runner's version. */
export const packageVersion = (runnerVersion: string) => `${runnerVersion}-1`;

type Fields = Readonly<Record<string, string>>;

const common = (name: string, version: string, kilobytes: number): Fields => ({
  Package: name,
  Version: packageVersion(version),
  Architecture: "amd64",
  Maintainer: "gitlab-runners lab <packages@lab.test>",
  "Installed-Size": String(kilobytes),
  Section: "admin",
  Priority: "optional",
  Homepage: "https://gitlab.com/gitlab-org/gitlab-runner",
});

/**
 * @param kilobytes what the package's files take
 * @throws Error for a version that dpkg would not compare as meant
 */
export function runnerControl(version: string, kilobytes: number): string {
  checkVersion(version);
  return render({
    ...common(RUNNER_PACKAGE, version, kilobytes),
    Depends: [
      `${HELPER_PACKAGE} (= ${packageVersion(version)})`,
      ...["ca-certificates", "git", "curl", "tar"],
    ].join(", "),
    Suggests: "docker-engine",
    Conflicts: "gitlab-runner-beta, gitlab-ci-multi-runner, gitlab-ci-multi-runner-beta",
    Replaces: "gitlab-ci-multi-runner",
    Provides: "gitlab-ci-multi-runner",
    Description: "GitLab Runner, as the lab packages it",
  });
}

/** As `runnerControl`, for the helper images. */
export function helperControl(version: string, kilobytes: number): string {
  checkVersion(version);
  return render({
    ...common(HELPER_PACKAGE, version, kilobytes),
    Description: "Helper images of GitLab Runner's Docker executor, as the lab packages them",
  });
}

function checkVersion(version: string): void {
  if (!/^\d[A-Za-z0-9.+~]*$/.test(version)) {
    throw new Error(`"${version}" is no version of a Debian package`);
  }
}

function render(fields: Fields): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join("");
}
