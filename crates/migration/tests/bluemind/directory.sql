-- What only the database of the directory has (bj), with people of our own.
CREATE TYPE enum_mailbox_type AS ENUM ('user', 'mailshare', 'resource', 'group');
CREATE TYPE enum_mailbox_routing AS ENUM ('internal', 'external', 'none');
CREATE TYPE resource_reservation_mode_type AS ENUM ('OWNER_MANAGED', 'AUTO_ACCEPT', 'AUTO_ACCEPT_REFUSE');
CREATE TABLE t_domain (
    item_id int4 PRIMARY KEY, label text NOT NULL, name text UNIQUE NOT NULL, description text, global boolean NOT NULL,
    aliases text[] NOT NULL, properties hstore);
CREATE TABLE t_settings_domain (item_id int4 PRIMARY KEY, settings hstore);
CREATE TABLE t_systemconf (configuration hstore);
CREATE TABLE t_directory_entry (
    kind text NOT NULL, entry_uid text NOT NULL, displayname text NOT NULL, email text, flag_hidden boolean,
    flag_system boolean, flag_archived boolean, orgunit_item_id int4, datalocation text, item_id int4 UNIQUE);
CREATE TABLE t_directory_ou (item_id int4 UNIQUE, parent_item_id int4, name text NOT NULL);
CREATE TABLE t_domain_user (
    item_id int4 PRIMARY KEY, login varchar(64) NOT NULL, password varchar(255), archived boolean, system boolean,
    hidden boolean, routing text, server_id text, properties hstore);
CREATE TABLE t_settings_user (item_id int4 PRIMARY KEY, settings hstore);
CREATE TABLE t_mailbox (
    item_id int4 PRIMARY KEY, name text NOT NULL, type enum_mailbox_type NOT NULL, system boolean, hidden boolean,
    archived boolean, routing enum_mailbox_routing NOT NULL, quota int4);
CREATE TABLE t_mailbox_email (
    item_id int4, left_address text, right_address text, all_aliases boolean, is_default boolean);
CREATE TABLE t_mailbox_identity (id varchar(64), mbox_id int4, name varchar(64), signature text);
CREATE TABLE t_mailfilter_rule (
    item_id int4, criteria text, star boolean, mark_read boolean, delete_it boolean, forward text,
    forward_with_copy boolean, deliver text, discard boolean, row_idx int4, active boolean);
CREATE TABLE t_mailfilter_forwarding (item_id int4, active boolean, local_copy boolean, email text);
CREATE TABLE t_mailfilter_vacation (
    item_id int4, active boolean, start_date timestamp, end_date timestamp, subject text, body_plain text,
    body_html text, vacation_marker boolean);
CREATE TABLE t_group (
    item_id int4 PRIMARY KEY, container_id int4, name text NOT NULL, description text, hidden boolean,
    hiddenmembers boolean, mailarchived boolean, server_id text, properties hstore);
CREATE TABLE t_group_groupmember (group_parent_id int4, group_child_id int4);
CREATE TABLE t_group_usermember (group_id int4, user_id int4);
CREATE TABLE t_group_externalusermember (group_id int4, external_user_id int4);
CREATE TABLE t_resource_type (id varchar(255), resource_container_id int4, label text);
CREATE TABLE t_resource (
    item_id int4 PRIMARY KEY, label text NOT NULL, type_id varchar(255), description text, mailbox_location varchar(64),
    values hstore, reservation_mode resource_reservation_mode_type);
CREATE TABLE t_container_sub (container_uid text, container_type text, user_id int4, offline_sync boolean);

SELECT container('domains_x', 'domains', 'domains', 'system', true);
SELECT container('tern.test', 'dir', 'directory of tern.test', 'system', true);
INSERT INTO t_domain VALUES
    (item('domains_x', 'global.virt', 'global'), 'global.virt', 'global.virt', NULL, true, '{}', NULL),
    (item('domains_x', 'tern.test', 'tern.test'), 'tern.test', 'tern.test', 'Terns, and "others"', false,
        '{alias.test,tern.example,sister.test}', NULL);
INSERT INTO t_systemconf VALUES ('message_size_limit=>10240000, mynetworks=>"127.0.0.0/8, 192.0.2.0/24", sw_password=>x');

CREATE FUNCTION entry(of_kind text, of_uid text, of_name text) RETURNS int4 LANGUAGE sql AS $$
    INSERT INTO t_directory_entry (kind, entry_uid, displayname, flag_hidden, flag_system, flag_archived, item_id)
    VALUES (of_kind, of_uid, of_name, false, false, false, item('tern.test', of_uid, of_name)) RETURNING item_id
$$;
CREATE FUNCTION who(of_uid text) RETURNS int4 LANGUAGE sql AS $$
    SELECT item_id FROM t_directory_entry WHERE entry_uid = of_uid
$$;
-- The units, one in the other.
INSERT INTO t_directory_ou VALUES (entry('ORG_UNIT', 'ou-sales', 'Sales'), NULL, 'Sales');
INSERT INTO t_directory_ou VALUES (entry('ORG_UNIT', 'ou-north', 'North'), who('ou-sales'), 'North/East');

SELECT entry('USER', 'u-ana', 'Ana María Ñandú'), entry('USER', 'u-ben', 'Ben'), entry('USER', 'u-cleo', 'Cleo'),
    entry('USER', 'u-none', 'Nobody'), entry('MAILSHARE', 'm-info', 'Information'), entry('GROUP', 'g-team', 'team'),
    entry('GROUP', 'g-silent', 'silent'), entry('RESOURCE', 'r-blue', 'Blue room'),
    entry('EXTERNALUSER', 'e-eve', 'Eve Elsewhere'), entry('CALENDAR', 'c-holidays', 'Holidays 2026'),
    entry('ADDRESSBOOK', 'b-suppliers', 'Suppliers');
UPDATE t_directory_entry SET orgunit_item_id = who('ou-north') WHERE entry_uid = 'u-ana';
UPDATE t_directory_entry SET flag_archived = true, flag_hidden = true WHERE entry_uid = 'u-cleo';
UPDATE t_directory_entry SET email = 'Eve@elsewhere.test' WHERE entry_uid = 'e-eve';
-- "correct horse", PBKDF2 with HMAC-SHA-1; an MD5, which nobody should take.
INSERT INTO t_domain_user VALUES
    (who('u-ana'), 'ana', '1000:a1b2c3d4e5f60718293a4b5c6d7e8f9001122334455667:c2a254c192741ba47213300ab47c6811ce845684213bb987', false, false, false,
        'internal', 's1', NULL),
    (who('u-ben'), 'Benjamin', '0cc175b9c0f1b6a831c399e269772661', false, false, false, 'internal', 's1', NULL),
    (who('u-cleo'), 'cleo', NULL, true, false, true, 'internal', 's1', NULL),
    (who('u-none'), 'none', NULL, false, false, false, 'none', 's1', NULL);
INSERT INTO t_settings_user VALUES (who('u-ana'), 'lang=>fr, timezone=>"Europe/Paris"');
INSERT INTO t_mailbox VALUES
    (who('u-ana'), 'ana', 'user', false, false, false, 'internal', 1048576),
    (who('u-ben'), 'ben', 'user', false, false, false, 'external', NULL),
    (who('u-cleo'), 'cleo', 'user', false, false, true, 'internal', 0),
    (who('m-info'), 'info', 'mailshare', false, false, false, 'internal', NULL),
    (who('g-team'), 'team', 'group', false, false, false, 'internal', NULL);
-- sales@ is Ana's under one name and Ben's under another: that name becomes a domain of its own.
INSERT INTO t_mailbox_email VALUES
    (who('u-ana'), 'ana.nandu', 'alias.test', false, false), (who('u-ana'), 'Ana', 'tern.test', true, true),
    (who('u-ana'), 'sales', 'tern.test', false, false), (who('u-ben'), 'sales', 'sister.test', false, false),
    (who('u-ben'), 'ben', 'tern.test', true, true), (who('u-cleo'), 'cleo', 'tern.test', false, true),
    (who('m-info'), 'info', 'tern.test', true, true), (who('g-team'), 'team', 'tern.test', true, true),
    (who('r-blue'), 'blue', 'tern.test', false, true);
INSERT INTO t_mailbox_identity VALUES ('1', who('u-ana'), 'Ana', '<b>Ana</b>');
INSERT INTO t_mailfilter_forwarding VALUES
    (who('u-ben'), true, true, 'ben@elsewhere.test, second@elsewhere.test'), (who('u-cleo'), false, false, 'x@y.test');
INSERT INTO t_mailfilter_vacation VALUES
    (who('u-ana'), true, '2026-08-01 00:00:00', '2026-08-15 00:00:00', 'Away', E'Back "soon".\nAna', NULL, false),
    (who('u-cleo'), false, NULL, NULL, 'Out', NULL, '<p>Out of <b>office</b></p>', false);
INSERT INTO t_mailfilter_rule VALUES
    (who('u-ana'), E'SUBJECT:CONTAINS: [terns]\nFROM:ISNOT: boss@tern.test', true, true, false, NULL, false,
        'Lists/Terns', false, 1, true),
    (who('u-ana'), 'FROM:IS: spam@bad.test', false, false, false, NULL, false, NULL, true, 0, true),
    (who('u-ana'), 'SUBJECT:SOUNDSLIKE: x', false, false, false, NULL, false, NULL, true, 2, true);
INSERT INTO t_group (item_id, name) VALUES (who('g-team'), 'team'), (who('g-silent'), 'silent');
INSERT INTO t_group_usermember VALUES (who('g-team'), who('u-ana')), (who('g-silent'), who('u-ben')),
    (who('g-silent'), who('u-cleo'));
INSERT INTO t_group_groupmember VALUES (who('g-team'), who('g-silent'));
INSERT INTO t_group_externalusermember VALUES (who('g-team'), who('e-eve'));
INSERT INTO t_resource_type VALUES ('t1', 1, 'Salle de réunion');
INSERT INTO t_resource VALUES (who('r-blue'), 'Blue room', 't1', NULL, 's1', 'Capacity=>12', 'AUTO_ACCEPT_REFUSE');
-- Who may read, write and send as others.
SELECT container('mailbox:acls-u-ana', 'mailboxacl', 'u-ana', 'u-ana', true),
    container('mailbox:acls-m-info', 'mailboxacl', 'm-info', 'm-info', true);
SELECT share('mailbox:acls-u-ana', 'u-ben', 'Read'), share('mailbox:acls-u-ana', 'u-ben', 'SendOnBehalf'),
    share('mailbox:acls-u-ana', 'u-ana', 'All'), share('mailbox:acls-m-info', 'g-silent', 'Write'),
    share('mailbox:acls-m-info', 'g-team', 'Read');
INSERT INTO t_container_sub VALUES ('calendar:Default:u-ana', 'calendar', who('u-ben'), true),
    ('calendar:gone', 'calendar', who('u-ben'), true), ('x', 'mailboxacl', who('u-ben'), true);
