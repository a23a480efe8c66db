// Comfort on top of pages that work without it: the renewal question as a modal dialog, a copy button, a link that follows
// the chosen file format, a guard against double clicks, a print button. All words come from the page (data- attributes),
// nothing is fetched, and each part fails alone.
'use strict';

(() => {
  document.documentElement.classList.add('js');

  /** How long a pressed button stays marked as busy, should no new page arrive (lost network, a file instead of a page). */
  const BUSY_MILLISECONDS = 10_000;

  // Marks the dialog, already open as a plain block, as modal. Esc closes it and sends nothing: the question comes back.
  function upgradeDialog() {
    const dialog = document.getElementById('renewal-dialog');
    // In a picture of somebody else's page it asks nobody.
    if (!dialog || dialog.closest('.preview') || typeof dialog.showModal !== 'function') return;
    const openers = [...document.querySelectorAll('[data-open-dialog="renewal-dialog"]')];

    const ask = () => {
      dialog.removeAttribute('open'); // close() would send a close event to the listener below
      try {
        dialog.showModal();
      } catch (error) {
        dialog.setAttribute('open', ''); // still there as a plain block
        throw error;
      }
      dialog.querySelector('.button--primary')?.focus();
    };

    dialog.addEventListener('close', () => {
      const focused = document.activeElement; // may still be in the closed dialog, or nowhere
      if (focused && focused !== document.body && !dialog.contains(focused)) return; // the browser gave it back already
      (openers[0] ?? document.querySelector('main'))?.focus();
    });
    openers.forEach((opener) => opener.addEventListener('click', ask));
    if (dialog.hasAttribute('open')) ask();
  }

  // Copies the import password. Where the browser refuses, the text is selected so that Ctrl+C finishes the job.
  function copyButton() {
    const button = document.getElementById('copy-button');
    const password = document.getElementById('import-password');
    const status = document.getElementById('copy-status');
    if (!button || !password) return;

    const select = () => {
      const range = document.createRange();
      range.selectNodeContents(password);
      const selection = window.getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
    };
    const say = (words) => {
      if (!status) return;
      status.textContent = ''; // emptied first, so that a second press is read out again
      window.setTimeout(() => { status.textContent = words ?? ''; }, 60);
    };

    button.addEventListener('click', async () => {
      const text = password.textContent.replace(/\s+/g, '');
      try {
        await navigator.clipboard.writeText(text);
        say(button.dataset.copied);
      } catch {
        select();
        let copied = false;
        try { copied = document.execCommand('copy'); } catch { /* stays selected */ }
        say(copied ? button.dataset.copied : button.dataset.selected);
      }
    });
  }

  // Points the download link at the chosen file format.
  function formatChoice() {
    const link = document.getElementById('download-link');
    const radios = [...document.querySelectorAll('input[name="format"]')];
    if (!link || radios.length === 0) return;

    const follow = () => {
      const chosen = radios.find((radio) => radio.checked);
      if (!chosen) return;
      const target = new URL(link.getAttribute('href'), window.location.href);
      target.searchParams.set('format', chosen.value);
      link.setAttribute('href', target.pathname + target.search);
    };
    radios.forEach((radio) => radio.addEventListener('change', follow));
    window.addEventListener('pageshow', follow); // the browser may have restored another choice
    follow();
  }

  // One click, one request. The server is safe against the second one; this only spares the reader a doubt.
  function doubleSubmitGuard() {
    const release = new Map();

    document.addEventListener('submit', (event) => {
      const form = event.target;
      if (!(form instanceof HTMLFormElement)) return;
      if (release.has(form)) {
        event.preventDefault();
        return;
      }
      const buttons = [...form.querySelectorAll('button[type="submit"], button:not([type])')];
      const before = buttons.map((button) => [...button.childNodes]);
      const timer = window.setTimeout(() => release.get(form)?.(), Number(form.dataset.busyFor) || BUSY_MILLISECONDS);
      release.set(form, () => {
        window.clearTimeout(timer);
        buttons.forEach((button, index) => {
          button.removeAttribute('aria-disabled');
          button.replaceChildren(...before[index]);
        });
        release.delete(form);
      });
      buttons.forEach((button) => {
        button.setAttribute('aria-disabled', 'true'); // not `disabled`: the pressed button's value must still be sent
        if (button === event.submitter && button.dataset.busyLabel) button.textContent = button.dataset.busyLabel;
      });
    });
    // Back to a page that the browser had kept: its buttons work again.
    window.addEventListener('pageshow', (event) => {
      if (event.persisted) [...release.values()].forEach((undo) => undo());
    });
  }

  function printButtons() {
    document.querySelectorAll('[data-print]').forEach((button) => button.addEventListener('click', () => window.print()));
  }

  for (const part of [upgradeDialog, copyButton, formatChoice, doubleSubmitGuard, printButtons]) {
    try {
      part();
    } catch (error) {
      console.warn(part.name, error); // the page goes on without this part
    }
  }
})();
