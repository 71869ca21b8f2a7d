// Files and folders dropped on the page.

const MOST_FILES = 20_000;

/** Calls with all files of what was dropped, and the folder's name if it was one. */
export function listenToDrops(take: (files: File[], folder: string) => void): void {
  document.addEventListener('dragover', (event) => {
    event.preventDefault();
    if (event.dataTransfer?.types.includes('Files')) document.body.classList.add('dropping');
  });
  document.addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) document.body.classList.remove('dropping');
  });
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    document.body.classList.remove('dropping');
    void read(event.dataTransfer).then(({ files, folder }) => files.length && take(files, folder));
  });
}

async function read(transfer: DataTransfer | null): Promise<{ files: File[]; folder: string }> {
  const items = [...(transfer?.items ?? [])];
  const entries = items.map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  if (!entries.length) return { files: [...(transfer?.files ?? [])], folder: '' };
  const files: File[] = [];
  for (const entry of entries) await collect(entry, files);
  return { files, folder: entries.length === 1 && entries[0]?.isDirectory ? entries[0].name : '' };
}

async function collect(entry: FileSystemEntry, files: File[]): Promise<void> {
  if (files.length >= MOST_FILES) return;
  if (entry.isFile) {
    files.push(await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject)));
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // a reader gives a hundred entries at a time
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const child of some) await collect(child, files);
  }
}
