// Package policy knows systemd's image policies: which partitions of a disk
// image may exist, may be used, and how they must be protected. It is pure.
//
//	root=verity+signed+absent:usr=signed:=ignore
//	├──┘ └──────────────────┘           └ the rule for all others
//	│    any of these will do
//	└ designator of a partition type, for whatever architecture
//
// A policy says nothing about root-verity, usr-verity and their signatures?
// Then their rules follow from the rule of the data partition they protect.
//
// The syntax is that of systemd 262 (systemd.image-policy(7)). Policies exist
// since systemd 254; Policy.Since tells which release a policy needs. What a
// release does with an image under a policy is Policy.Judge.
//
// Left out are image filters (systemd.image-filter(7)), which choose between
// several partitions of one type by their labels.
//
// Sources: systemd's src/shared/image-policy.c and dissect-image.c at 257.13,
// and the programs systemd-analyze, systemd-dissect and test-image-policy of
// 262.1.
package policy
