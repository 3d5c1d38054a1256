/** The few calls to the disk that the state's file needs, so that a test can make each of them the last one. */

import { type FileHandle, mkdir, open, readFile, rename, rm } from 'node:fs/promises';

/** A file open for appending. */
export interface AppendFile {
  /** Appends all of the bytes. */
  append(bytes: Uint8Array): Promise<void>;
  /** Resolves when content and length are on the disk. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface FileSystem {
  /** The file's content, or undefined where there is none. */
  read(path: string): Promise<Uint8Array | undefined>;
  /** A new, empty file in place of any old one; only its owner may read it. */
  create(path: string): Promise<AppendFile>;
  /** An existing file. */
  append(path: string): Promise<AppendFile>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file, if it is there. */
  remove(path: string): Promise<void>;
  /** Makes a folder with its parents, if it is not there; only its owner may enter. */
  makeFolder(path: string): Promise<void>;
  /** Resolves when the names in a folder are on the disk. */
  syncFolder(path: string): Promise<void>;
}

/** The machine's disk. */
export const disk: FileSystem = {
  async read(path) {
    try {
      return await readFile(path);
    } catch (error: unknown) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    }
  },
  create: async (path) => appendFile(await open(path, 'w', 0o600)),
  append: async (path) => appendFile(await open(path, 'a')),
  rename,
  remove: (path) => rm(path, { force: true }),
  async makeFolder(path) {
    await mkdir(path, { recursive: true, mode: 0o700 });
  },
  async syncFolder(path) {
    await using folder = await open(path, 'r');
    await folder.sync();
  },
};

function appendFile(handle: FileHandle): AppendFile {
  return {
    append: (bytes) => handle.appendFile(bytes),
    sync: () => handle.datasync(),
    close: () => handle.close(),
  };
}
