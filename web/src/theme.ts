// Dark or light: as the system says until the user says otherwise.

const KEPT = 'openvista-theme';

export function applyTheme(): void {
  const kept = localStorage.getItem(KEPT);
  if (kept) document.documentElement.dataset['theme'] = kept;
}

export function switchTheme(): void {
  const next = isDark() ? 'light' : 'dark';
  document.documentElement.dataset['theme'] = next;
  localStorage.setItem(KEPT, next);
}

function isDark(): boolean {
  const chosen = document.documentElement.dataset['theme'];
  return chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
}
