-- What only the database of a data server has (bj-data), with things of our own.
CREATE TYPE t_calendar_transparency AS ENUM ('Opaque', 'Transparent');
CREATE TYPE t_icalendar_cutype AS ENUM ('Individual', 'Group', 'Resource', 'Room', 'Unknown');
CREATE TYPE t_icalendar_role AS ENUM ('Chair', 'RequiredParticipant', 'OptionalParticipant', 'NonParticipant');
CREATE TYPE t_icalendar_partstat AS ENUM ('NeedsAction', 'Accepted', 'Declined', 'Tentative', 'Delegated');
CREATE TYPE t_icalendar_status AS ENUM ('Tentative', 'Confirmed', 'Cancelled', 'NeedsAction', 'Completed', 'InProcess');
CREATE TYPE t_icalendar_class AS ENUM ('Public', 'Private', 'Confidential');
CREATE TYPE t_icalendar_rrule_frequency AS ENUM ('DAILY', 'WEEKLY', 'MONTHLY', 'YEARLY');
CREATE TYPE t_icalendar_valarm_action AS ENUM ('Audio', 'Display', 'Email');
CREATE TABLE t_calendar_vevent (
    dtstart_timestamp timestamp, dtstart_timezone text, dtstart_precision e_datetime_precision,
    dtend_timestamp timestamp, dtend_timezone text, dtend_precision e_datetime_precision,
    summary text, location text, description text, class t_icalendar_class, transparency t_calendar_transparency,
    status t_icalendar_status, priority int4, organizer_uri text, organizer_cn text, organizer_mailto text,
    organizer_dir text, url text,
    exdate_timestamp timestamp[], exdate_timezone text, exdate_precision e_datetime_precision,
    rdate_timestamp timestamp[], rdate_timezone text, rdate_precision e_datetime_precision,
    cutype t_icalendar_cutype[], member text[], att_role t_icalendar_role[], partstat t_icalendar_partstat[],
    rsvp boolean[], delto text[], delfrom text[], sentby text[], cn text[], dir text[], att_mailto text[],
    rrule_frequency t_icalendar_rrule_frequency, rrule_interval int4, rrule_count int4,
    rrule_until_timestamp timestamp, rrule_until_timezone text, rrule_until_precision e_datetime_precision,
    rrule_byday text[], rrule_bymonthday int4[],
    recurid_timestamp timestamp, recurid_timezone text, recurid_precision e_datetime_precision,
    valarm_action t_icalendar_valarm_action[], valarm_trigger int4[], valarm_description text[],
    valarm_duration int4[], valarm_repeat int4[], valarm_summary text[],
    attach_uri text[], attach_name text[], sequence int4, draft boolean, item_id int4);
CREATE TABLE t_calendar_series (ics_uid text NOT NULL, properties hstore, item_id int4 UNIQUE);
CREATE TABLE t_todolist_vtodo (
    uid text NOT NULL, dtstart_timestamp timestamp, dtstart_timezone text, dtstart_precision e_datetime_precision,
    due_timestamp timestamp, due_timezone text, due_precision e_datetime_precision,
    completed_timestamp timestamp, completed_timezone text, completed_precision e_datetime_precision,
    summary text, description text, status t_icalendar_status, priority int4, percent int4, item_id int4 PRIMARY KEY);
CREATE TABLE t_addressbook_vcard (
    kind text NOT NULL, source text, formated_name text NOT NULL, familynames text, givennames text,
    additionalnames text, honorificprefixes text, honoricficsuffixes text, nickname text, bday date, anniversary date,
    adr_label text[], postofficebox text[], extendedaddress text[], streetaddress text[], locality text[],
    region text[], postalcode text[], countryname text[], adr_parameters text[], tel text[], tel_parameters text[],
    email text[], email_parameters text[], urls text[], urls_parameters text[], title text, role text, company text,
    division text, department text, member_item_uid text[], member_cn text[], member_mailto text[], note text,
    spouse text, item_id int8);
CREATE TABLE t_notes_vnote (body text, subject text, item_id int4);

SELECT container('calendar:Default:u-ana', 'calendar', 'Ana María Ñandú', 'u-ana', true),
    container('calendar:u-ana:2', 'calendar', 'Projects/2026', 'u-ana', false),
    container('calendar:u-ana:3', 'calendar', 'Football', 'u-ana', false),
    container('calendar:r-blue', 'calendar', 'Blue room', 'r-blue', true),
    container('c-holidays', 'calendar', 'Holidays 2026', 'c-holidays', false),
    container('calendar:Default:u-gone', 'calendar', 'Somebody gone', 'u-gone', true),
    container('todolist:default_u-ana', 'todolist', 'My tasks', 'u-ana', true),
    container('notes:default_u-ana', 'notes', 'My notes', 'u-ana', true),
    container('book:Contacts_u-ana', 'addressbook', 'My contacts', 'u-ana', true),
    container('book:CollectedContacts_u-ana', 'addressbook', 'Collected contacts', 'u-ana', false),
    container('b-suppliers', 'addressbook', 'Suppliers', 'b-suppliers', false),
    container('addressbook_tern.test', 'addressbook', 'Directory', 'system', false),
    container('tags_u-ana', 'tags', 'tags', 'u-ana', true);
INSERT INTO t_container_settings SELECT id, 'type=>externalIcs, icsUrl=>"https://example.net/f.ics"' FROM t_container
    WHERE uid = 'calendar:u-ana:3';
SELECT share('calendar:Default:u-ana', 'u-ana', 'All'), share('calendar:Default:u-ana', 'u-ben', 'Read'),
    share('calendar:Default:u-ana', 'u-ben', 'Write'), share('calendar:Default:u-ana', 'tern.test', 'Freebusy'),
    share('calendar:Default:u-ana', 'tern.test', 'Invitation'),
    share('calendar:Default:u-ana', 'x-calendar-public-1', 'Read'),
    share('calendar:r-blue', 'u-ben', 'Manage'), share('c-holidays', 'tern.test', 'Read'),
    share('book:Contacts_u-ana', 'g-team', 'Read');

-- A series over the change of the clocks, with one that was moved and one that was left out.
INSERT INTO t_calendar_series VALUES ('series-1@tern.test', NULL, item('calendar:Default:u-ana', 'series-1', 'Stand-up')),
    ('gone@tern.test', NULL, item('calendar:Default:u-ana', 'no-rows', 'nothing'));
INSERT INTO t_calendar_vevent (
    dtstart_timestamp, dtstart_timezone, dtstart_precision, dtend_timestamp, dtend_timezone, dtend_precision, summary,
    recurid_timestamp, recurid_timezone, recurid_precision, sequence, item_id)
SELECT '2026-03-31 11:00', 'Europe/Paris', 'DateTime', '2026-03-31 11:15', 'Europe/Paris', 'DateTime', 'Stand-up, later',
    '2026-03-31 09:30', 'Europe/Paris', 'DateTime', 1, id FROM t_container_item WHERE uid = 'series-1';
INSERT INTO t_calendar_vevent (
    dtstart_timestamp, dtstart_timezone, dtstart_precision, dtend_timestamp, dtend_timezone, dtend_precision, summary,
    location, description, class, transparency, status, organizer_cn, organizer_mailto, cutype, att_role, partstat,
    rsvp, cn, dir, att_mailto, rrule_frequency, rrule_interval, rrule_until_timestamp, rrule_until_timezone,
    rrule_until_precision, rrule_byday, exdate_timestamp, exdate_timezone, exdate_precision, valarm_action,
    valarm_trigger, valarm_description, valarm_duration, valarm_repeat, valarm_summary, attach_uri, attach_name, item_id)
SELECT '2026-03-24 09:30', 'Europe/Paris', 'DateTime', '2026-03-24 09:45', 'Europe/Paris', 'DateTime',
    E'Stand-up; "daily", \\o/', 'Blue room, 2nd floor', '<p>Agenda:<br/>one &amp; two</p>', 'Private', 'Opaque',
    'Confirmed', 'Ana', 'ana@tern.test', '{Individual,Room}', '{RequiredParticipant,NonParticipant}',
    '{Accepted,NeedsAction}', '{t,f}', '{"Ben, the \"other\"",NULL}',
    '{NULL,"bm://tern.test/resources/r-blue"}', '{ben@tern.test,NULL}', 'WEEKLY', 1, '2026-06-30 22:00', 'UTC',
    'DateTime', '{TU}', '{"2026-04-07 09:30:00"}', 'Europe/Paris', 'DateTime', '{Display}', '{-900}', '{NULL}',
    '{NULL}', '{NULL}', '{NULL}', '{https://bm.tern.test/fh/1}', '{agenda.pdf}', id
    FROM t_container_item WHERE uid = 'series-1';
-- A whole day, once a year, for ever; and something that has no start.
INSERT INTO t_calendar_vevent (dtstart_timestamp, dtstart_precision, dtend_timestamp, dtend_precision, summary,
    rrule_frequency, item_id)
VALUES ('1987-05-01', 'Date', '1987-05-02', 'Date', 'Birthday of Zoë 🎂', 'YEARLY', item('calendar:u-ana:2', 'day/1', 'x'));
INSERT INTO t_calendar_vevent (summary, item_id) VALUES ('Nothing', item('calendar:u-ana:2', 'broken', 'x'));
INSERT INTO t_calendar_vevent (dtstart_timestamp, dtstart_precision, dtend_timestamp, dtend_precision, summary, item_id)
VALUES ('2026-12-25', 'Date', '2026-12-26', 'Date', 'Christmas', item('c-holidays', 'christmas', 'x'));
INSERT INTO t_todolist_vtodo VALUES ('task-1', '2026-01-01', NULL, 'Date', '2026-01-05', NULL, 'Date',
    '2026-01-04 12:00', 'UTC', 'DateTime', 'Call Ben', NULL, 'Completed', 1, 100,
    item('todolist:default_u-ana', 'task-1', 'Call Ben'));
INSERT INTO t_notes_vnote VALUES (E'milk\nbread', 'Shopping', item('notes:default_u-ana', 'note-1', 'Shopping'));
INSERT INTO t_addressbook_vcard (kind, formated_name, familynames, givennames, nickname, bday, adr_label, postofficebox,
    extendedaddress, streetaddress, locality, region, postalcode, countryname, adr_parameters, tel, tel_parameters,
    email, email_parameters, urls, urls_parameters, company, department, note, item_id)
VALUES ('individual', 'Dr. Zoë Łuczak', 'Łuczak', 'Zoë', 'Zo', '1987-05-01', '{home}', '{NULL}', '{NULL}',
    '{"1, rue de l''Église"}', '{Paris}', '{NULL}', '{75001}', '{France}', '{TYPE=home}', '{"+33 1 23","0123"}',
    '{"TYPE=cell;TYPE=voice",NULL}', '{zoe@example.test,z@example.org}', '{"TYPE=work;PREF=1","TYPE=home"}',
    '{"https://zoe.test/a,b"}', '{NULL}', 'Terns, Ltd.', 'Research', E'One\nTwo; three',
    item('book:Contacts_u-ana', 'card-1', 'Zoë'));
INSERT INTO t_addressbook_vcard (kind, formated_name, member_item_uid, member_cn, member_mailto, item_id)
VALUES ('group', 'Friends', '{card-1,NULL}', '{Zoë,"Max"}', '{zoe@example.test,max@example.test}',
    item('book:Contacts_u-ana', 'card-2', 'Friends'));
INSERT INTO t_addressbook_vcard (kind, formated_name, email, item_id)
VALUES ('individual', '', '{only@mail.test}', item('book:CollectedContacts_u-ana', 'card-3', 'x')),
    ('individual', 'Supplier', '{s@example.test}', item('b-suppliers', 'card-4', 'Supplier'));
INSERT INTO t_tagvalue VALUES ('Wichtig', 'ff0000', item('tags_u-ana', 'tag-1', 'Wichtig'));
INSERT INTO t_tagref VALUES ('series-1', 'calendar:Default:u-ana', 'calendar', 'tags_u-ana', 'tag-1'),
    ('card-1', 'book:Contacts_u-ana', 'addressbook', 'tags_u-ana', 'tag-1');
