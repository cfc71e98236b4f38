const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");

/** The account's server. */
function imap() {
  const servers = MailServices.accounts.accounts.map(account => account.incomingServer);
  return servers.find(server => server.type == "imap").QueryInterface(Ci.nsIImapIncomingServer);
}

/** The folder with this flag of nsMsgFolderFlags. */
function folder(flag) {
  return imap().rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags[flag]);
}

/** Waits until there is something, and gives it. */
function until(what, look) {
  return new Promise((found, failed) => {
    let tries = 600;
    const timer = setInterval(() => {
      const value = look();
      if (value || --tries == 0) {
        clearInterval(timer);
        value ? found(value) : failed(new Error(what));
      }
    }, 50);
  });
}

/** A promise that a listener of this interface keeps. */
function promised(name, make) {
  return new Promise((kept, broken) => {
    const end = status =>
      Components.isSuccessCode(status) ? kept() : broken(new Error(`${name}: ${status.toString(16)}`));
    make({
      QueryInterface: ChromeUtils.generateQI([name]),
      OnStartRunningUrl() {},
      OnStopRunningUrl: (url, status) => end(status),
      onStartCopy() {},
      onProgress() {},
      setMessageKey() {},
      getMessageId() {},
      onStopCopy: end,
    });
  });
}

/** Asks the server for what is new in a folder. */
function update(of) {
  const listening = listener => of.QueryInterface(Ci.nsIMsgImapMailFolder).updateFolderWithListener(null, listener);
  return promised("nsIUrlListener", listening);
}

/** The messages of a folder with this subject. */
function messages(of, subject) {
  return [...of.messages].filter(message => message.mime2DecodedSubject == subject);
}
