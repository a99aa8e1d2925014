package settings

// IsOn says whether something that is switched on for perMille of all principals is on for this one.
// Growing the share never switches it off for anybody. The setting is the full name of the settings
// message, a dot, and the field's name.
func IsOn(perMille uint32, setting, principal string) bool {
	return number(setting, principal) < uint64(perMille)
}

// number is the steady number of a principal, 0 to 999, as settings.proto defines it.
func number(setting, principal string) uint64 {
	hash := uint64(0xcbf29ce484222325)
	for _, b := range []byte(setting + "\x00" + principal) {
		hash = (hash ^ uint64(b)) * 0x100000001b3
	}
	for _, factor := range []uint64{0xff51afd7ed558ccd, 0xc4ceb9fe1a85ec53} {
		hash = (hash ^ hash>>33) * factor
	}
	return (hash ^ hash>>33) % 1000
}
