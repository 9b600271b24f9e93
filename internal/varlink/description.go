package varlink

// serviceDescription is the interface that every service has
// (https://varlink.org/Service).
const serviceDescription = `interface org.varlink.service

method GetInfo() -> (
	vendor: string,
	product: string,
	version: string,
	url: string,
	interfaces: []string
)

method GetInterfaceDescription(
	interface: string
) -> (
	description: string
)

error InterfaceNotFound(
	interface: string
)

error MethodNotFound(
	method: string
)

error MethodNotImplemented(
	method: string
)

error InvalidParameter(
	parameter: string
)

error PermissionDenied()

error ExpectedMore()
`
