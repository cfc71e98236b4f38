-- What both databases of BlueMind 4 have: containers, their items, and who may do what with them.
CREATE EXTENSION hstore;
CREATE TYPE e_datetime_precision AS ENUM ('Date', 'DateTime');
CREATE TABLE t_container (
    id serial PRIMARY KEY, uid text UNIQUE NOT NULL, container_type varchar(50) NOT NULL, name text NOT NULL,
    owner text NOT NULL, createdby text, updatedby text, created timestamp, updated timestamp,
    defaultcontainer boolean DEFAULT false, domain_uid text, readonly boolean DEFAULT false);
CREATE TABLE t_container_item (
    id serial PRIMARY KEY, container_id int4 REFERENCES t_container (id), uid text NOT NULL, version int4 NOT NULL,
    external_id text, displayname text, createdby text, updatedby text, created timestamp, updated timestamp,
    flags int4 NOT NULL DEFAULT 0, UNIQUE (container_id, uid));
CREATE TABLE t_container_acl (
    container_id int4 REFERENCES t_container (id), subject text NOT NULL, verb text NOT NULL, position int2 NOT NULL);
CREATE TABLE t_container_settings (container_id int4 REFERENCES t_container (id), settings hstore NOT NULL);
CREATE TABLE t_tagvalue (label text, color varchar(6), item_id int4 REFERENCES t_container_item (id));
CREATE TABLE t_tagref (
    tagged_item_uid text, tagged_container_uid text, tagged_container_type text, ref_container_uid text,
    ref_item_uid text);
-- Something that isn't read, with what could be taken for the end of a table.
CREATE TABLE t_container_changelog (version int4, item_uid text, origin text);
INSERT INTO t_container_changelog VALUES (1, 'COPY public.t_domain (name) FROM stdin;', E'\\.\n\\.'), (2, NULL, '\N');
CREATE FUNCTION container(of_uid text, of_type text, of_name text, of_owner text, is_default boolean) RETURNS int4
LANGUAGE sql AS $$
    INSERT INTO t_container (uid, container_type, name, owner, createdby, updatedby, created, updated, defaultcontainer)
    VALUES (of_uid, of_type, of_name, of_owner, 'system', 'system', '2024-01-01', '2024-01-01', is_default)
    RETURNING id
$$;
CREATE FUNCTION item(of_container text, of_uid text, of_name text) RETURNS int4 LANGUAGE sql AS $$
    INSERT INTO t_container_item (container_id, uid, version, displayname, createdby, updatedby, created, updated)
    SELECT id, of_uid, 1, of_name, 'x', 'x', '2024-02-03 04:05:06', '2024-02-03 04:05:07.5'
    FROM t_container WHERE uid = of_container RETURNING id
$$;
CREATE FUNCTION share(of_container text, of_subject text, of_verb text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO t_container_acl SELECT id, of_subject, of_verb, 0 FROM t_container WHERE uid = of_container
$$;
