// Package chaos checks that no fault loses or doubles a write. Its tests run the real program in processes of its own,
// two on one database, under the load of clients that keep a ledger: which writes were acknowledged, and of which they
// do not know what became. Then they kill, cut, fill and lock what the service depends on, and compare what is stored
// with the ledger. docs/reliability.md tells what is promised.
//
// Each fault strikes once under go test; make chaos lets them strike again and again. The tests need Linux, which can
// limit the files of a running process: that is how a disk gets full here, without any privilege.
package chaos
