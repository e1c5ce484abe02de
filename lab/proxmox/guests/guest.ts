/** What a guest is for the API, whichever kind it is. */

/** A guest as it is to be started. */
export interface GuestPlan {
  readonly vmid: number;
  readonly name: string;
  readonly uuid: string;
  readonly cores: number;
  /** MiB. */
  readonly memory: number;
  readonly agent: boolean;
  readonly disks: readonly GuestDisk[];
  readonly nics: readonly GuestNic[];
  /** The cloud-init image, and a folder with the files that it holds. */
  readonly seed:
    { readonly image: string; readonly slot: string; readonly folder: string } | undefined;
  /** The template's folder: kernel, initial file system, root file system. */
  readonly template: string;
}

export interface GuestDisk {
  /** Name of the drive, such as `scsi0`. */
  readonly slot: string;
  readonly file: string;
  readonly format: string;
  readonly serial: string | undefined;
  readonly readOnly: boolean;
  readonly discard: boolean;
}

export interface GuestNic {
  readonly index: number;
  readonly mac: string;
  readonly model: string;
  readonly bridge: string;
  readonly mtu: number | undefined;
  readonly linkDown: boolean;
}

/** What the guest agent says of one interface. */
export interface AgentInterface {
  readonly name: string;
  readonly "hardware-address"?: string;
  readonly "ip-addresses"?: readonly {
    readonly "ip-address": string;
    readonly "ip-address-type": string;
    readonly prefix: number;
  }[];
  readonly statistics?: Readonly<Record<string, number>>;
}

export interface AgentExit {
  readonly exited: 0 | 1;
  readonly exitcode?: number;
  readonly signal?: number;
  readonly "out-data"?: string;
  readonly "err-data"?: string;
}

/** The guest agent of a running guest. Every function throws when it does not answer. */
export interface GuestAgent {
  ping(): Promise<void>;
  interfaces(): Promise<readonly AgentInterface[]>;
  /** @param count bytes at most */
  readFile(
    path: string,
    offset: number,
    count: number,
  ): Promise<{ content: Buffer; more: boolean }>;
  /** @returns its process id in the guest */
  exec(command: readonly string[], input: string | undefined): Promise<number>;
  execStatus(pid: number): Promise<AgentExit>;
  /** Asks the guest to power off. */
  shutdown(): Promise<void>;
}

/** One kind of guests. */
export interface GuestKindDriver {
  /** Starts a guest. @returns its process id once it runs */
  start(plan: GuestPlan, folder: string): Promise<number>;
  /** Gives back what a guest had once its process has ended, however it ended. */
  release(vmid: number, folder: string): Promise<void>;
  agent(vmid: number, folder: string, pid: number): GuestAgent;
  /** Presses the power button. */
  powerButton(vmid: number, folder: string, pid: number): Promise<void>;
  reset(vmid: number, folder: string, pid: number): Promise<void>;
  /** Makes a disk of a running guest larger: the file, and what the guest sees of it. */
  grow(vmid: number, folder: string, slot: string, file: string, bytes: number): Promise<void>;
  /** Network devices of this machine that a guest has. */
  devices(vmid: number): readonly string[];
  /** Bytes of this machine's memory that it uses, and seconds of processor time. */
  usage(pid: number): { readonly memory: number; readonly cpu: number };
}

/** An answer of the agent that is no. */
export class AgentError extends Error {}
