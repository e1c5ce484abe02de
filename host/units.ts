import { RunnerConfig } from "../config/model";
import { GENERATED, HostFile, textFile } from "./files";

/** Seconds that systemd grants the runner beyond the drain limit before it kills it. */
const STOP_GRACE = 60;
/** Seconds that a shutdown of the guest is granted beyond the drain limit. */
const SHUTDOWN_GRACE = 300;

const SYSTEM = "/etc/systemd/system";

/** How systemd runs, reloads and stops the runner. */
export function runnerDropIn(runner: RunnerConfig): HostFile {
  return textFile(`${SYSTEM}/gitlab-runner.service.d/10-host.conf`, [
    `# ${GENERATED}`,
    "[Unit]",
    "# Stopped before Docker and before the network, so that jobs can end in a shutdown.",
    "# Wants and not Requires: a restart of Docker must not stop the runner by itself.",
    "After=docker.service network-online.target nss-lookup.target time-sync.target",
    "Wants=docker.service network-online.target",
    "# Without Docker's disks it would take jobs only to fail them.",
    "RequiresMountsFor=/var/lib/docker/volumes",
    "# The package starts the service before there is anything to run.",
    "ConditionPathExists=/etc/gitlab-runner/config.toml",
    "StartLimitIntervalSec=0",
    "",
    "[Service]",
    "# SIGQUIT: take no new job, let the running ones end. SIGTERM would abort them.",
    "KillSignal=SIGQUIT",
    "KillMode=mixed",
    `TimeoutStopSec=${runner.drainTimeout + STOP_GRACE}`,
    "ExecReload=/bin/kill -HUP $MAINPID",
    "Restart=always",
    "RestartSec=5",
  ]);
}

/**
 * systemd forces a shutdown that takes longer than 30 minutes; a drain may need more.
 */
export function shutdownDropIns(runner: RunnerConfig): HostFile[] {
  return ["halt", "poweroff", "reboot"].map((target) =>
    textFile(`${SYSTEM}/${target}.target.d/10-gitlab-runners.conf`, [
      `# ${GENERATED}`,
      "[Unit]",
      "# The default of 30 minutes would cut off jobs that are still ending.",
      `JobTimeoutSec=${runner.drainTimeout + SHUTDOWN_GRACE}`,
    ]),
  );
}

/** Docker waits for its disks. */
export function dockerDropIn(): HostFile {
  return textFile(`${SYSTEM}/docker.service.d/10-host.conf`, [
    `# ${GENERATED}`,
    "[Unit]",
    "# Without its disks Docker would fill the root file system.",
    "RequiresMountsFor=/var/lib/docker/volumes",
  ]);
}

/** Job caches and builds are Docker volumes: they live on the cache disk. */
export function volumesMount(): HostFile {
  return textFile(`${SYSTEM}/var-lib-docker-volumes.mount`, [
    `# ${GENERATED}`,
    "[Unit]",
    "Description=Docker volumes (job caches and builds) on the cache disk",
    "# A missing cache disk must not hold up the boot, and so SSH.",
    "DefaultDependencies=no",
    "Conflicts=umount.target",
    "Before=umount.target docker.service",
    "RequiresMountsFor=/cache",
    "",
    "[Mount]",
    "What=/cache/docker-volumes",
    "Where=/var/lib/docker/volumes",
    "Type=none",
    "Options=bind",
    "",
    "[Install]",
    "WantedBy=docker.service",
  ]);
}

/** The journal must not fill the root disk. */
export function journalLimits(): HostFile {
  return textFile("/etc/systemd/journald.conf.d/10-gitlab-runners.conf", [
    `# ${GENERATED}`,
    "[Journal]",
    "SystemMaxUse=500M",
    "SystemKeepFree=1G",
    "RuntimeMaxUse=64M",
    "MaxRetentionSec=1month",
  ]);
}
