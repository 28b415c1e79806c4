/* SPDX-License-Identifier: Apache-2.0 */
/** Tables of the local store. Version 1; a later version migrates in migrate() of sqlite.c. */
#ifndef RC_STORE_SQLITE_SQL_H
#define RC_STORE_SQLITE_SQL_H

#define RC_STORE_SCHEMA_VERSION 1
/** "rcst": tells our files from other people's databases. */
#define RC_STORE_APPLICATION_ID 0x72637374

/* One row per connector that ever existed; `target` 0 = deleted, kept so that versions go on
 * growing. `seq` keeps the order of keys, which people see. */
#define RC_STORE_SCHEMA                                                                          \
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"             \
    "CREATE TABLE connector(name TEXT PRIMARY KEY, target INTEGER NOT NULL,"                     \
    " version INTEGER NOT NULL, incarnation INTEGER NOT NULL, changed_ms INTEGER NOT NULL)"      \
    " WITHOUT ROWID;"                                                                            \
    "CREATE TABLE connector_config(name TEXT NOT NULL, seq INTEGER NOT NULL, key TEXT NOT NULL," \
    " value TEXT NOT NULL, PRIMARY KEY(name, seq)) WITHOUT ROWID;"                               \
    "INSERT INTO meta VALUES('starts', 0), ('incarnations', 0);"

#endif
