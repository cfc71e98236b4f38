"""What Evolution does with a calendar, a task list and an address book: its data server, without the windows.

Arguments: base URL, user, password. Says what it sees, line by line.
"""

import sys
import time
from urllib.parse import urlparse

import gi

gi.require_version("EDataServer", "1.2")
gi.require_version("ECal", "2.0")
gi.require_version("EBook", "1.2")
gi.require_version("EBookContacts", "1.2")
from gi.repository import EBook, EBookContacts, ECal, EDataServer, GLib, ICalGLib  # noqa: E402

PATIENCE_S = 60
base, user, password = sys.argv[1:4]
registry = EDataServer.SourceRegistry.new_sync(None)


def turn(seconds=0.2):
    """Lets what is under way come in."""
    context, end = GLib.MainContext.default(), time.time() + seconds
    while time.time() < end:
        if not context.iteration(False):
            time.sleep(0.01)


def source(uid, extension, backend, path):
    """Adds an account for one collection, as the dialog for new calendars does."""
    made = EDataServer.Source.new_with_uid(uid, None)
    made.set_display_name(uid)
    made.set_parent(backend + "-stub")
    made.get_extension(extension).set_backend_name(backend)
    login, url = made.get_extension(EDataServer.SOURCE_EXTENSION_AUTHENTICATION), urlparse(base)
    login.set_host(url.hostname)
    login.set_port(url.port)
    login.set_user(user)
    login.set_method("plain/password")
    made.get_extension(EDataServer.SOURCE_EXTENSION_WEBDAV_BACKEND).set_uri(
        GLib.Uri.parse(base + path, GLib.UriFlags.NONE)
    )
    registry.commit_source_sync(made, None)
    end = time.time() + PATIENCE_S
    while registry.ref_source(uid) is None and time.time() < end:
        turn()
    return registry.ref_source(uid)


def log_in(made, client):
    """Types the password into the dialog that asks for it."""
    words = EDataServer.NamedParameters.new()
    words.set("username", user)
    words.set("password", password)
    end = time.time() + PATIENCE_S
    while client.is_readonly() and time.time() < end:
        made.invoke_authenticate_sync(words, None)
        turn(0.5)
    assert not client.is_readonly(), "it could not log in"


def seen(client, wanted, what):
    """Waits until the summaries are these."""
    end, found = time.time() + PATIENCE_S, None
    while time.time() < end:
        client.refresh_sync(None)
        turn()
        found = sorted(one.get_summary() for one in client.get_object_list_sync("#t", None)[1])
        if found == wanted:
            return print(what, ", ".join(found), flush=True)
    raise SystemExit(f"{what}: {found} instead of {wanted}")


def connected(connect):
    """What connects, once the factory that is asked has heard of the source: the registry tells it on its own way."""
    end = time.time() + PATIENCE_S
    while True:
        try:
            return connect()
        except GLib.Error as error:
            if "No such source" not in error.message or time.time() > end:
                raise
            turn()


def component(text):
    return ICalGLib.Component.new_from_string(text.replace("\n", "\r\n"))


made = source("events", EDataServer.SOURCE_EXTENSION_CALENDAR, "caldav", f"/dav/calendars/{user}/Calendar/")
events = connected(lambda: ECal.Client.connect_sync(made, ECal.ClientSourceType.EVENTS, 0xFFFFFFFF, None))
log_in(made, events)
seen(events, ["Written elsewhere"], "events:")
text = "BEGIN:VEVENT\nUID:evolution-1\nDTSTAMP:20250101T000000Z\nDTSTART:20250310T100000Z\nDTEND:20250310T110000Z\n"
events.create_object_sync(component(text + "SUMMARY:By Evolution\nEND:VEVENT\n"), ECal.OperationFlags.NONE, None)
seen(events, ["By Evolution", "Written elsewhere"], "events:")
changed = component(text + "SUMMARY:Changed by Evolution\nEND:VEVENT\n")
events.modify_object_sync(changed, ECal.ObjModType.ALL, ECal.OperationFlags.NONE, None)
elsewhere = [one for one in events.get_object_list_sync("#t", None)[1] if one.get_summary() == "Written elsewhere"][0]
events.remove_object_sync(elsewhere.get_uid(), None, ECal.ObjModType.ALL, ECal.OperationFlags.NONE, None)
seen(events, ["Changed by Evolution"], "events:")

made = source("tasks", EDataServer.SOURCE_EXTENSION_TASK_LIST, "caldav", f"/dav/calendars/{user}/Tasks/")
tasks = connected(lambda: ECal.Client.connect_sync(made, ECal.ClientSourceType.TASKS, 0xFFFFFFFF, None))
log_in(made, tasks)
text = "BEGIN:VTODO\nUID:evolution-2\nDTSTAMP:20250101T000000Z\nDUE;VALUE=DATE:20250401\nSUMMARY:A task\nEND:VTODO\n"
tasks.create_object_sync(component(text), ECal.OperationFlags.NONE, None)
seen(tasks, ["A task"], "tasks:")

made = source("cards", EDataServer.SOURCE_EXTENSION_ADDRESS_BOOK, "carddav", f"/dav/addressbooks/{user}/Contacts/")
cards = connected(lambda: EBook.BookClient.connect_sync(made, 0xFFFFFFFF, None))
log_in(made, cards)
card = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:evolution-3\r\nFN:Arctic Tern\r\nN:Tern;Arctic;;;\r\nEND:VCARD\r\n"
cards.add_contact_sync(EBookContacts.Contact.new_from_vcard(card), EBookContacts.BookOperationFlags.NONE, None)
cards.refresh_sync(None)
found = cards.get_contacts_sync('(exists "full_name")', None)[1]
print("cards:", ", ".join(one.get_property("full-name") for one in found), flush=True)
