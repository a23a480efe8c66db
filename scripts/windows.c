/* What Wine lacks of Windows for the agent's tests; built by scripts/test.sh as bcryptprimitives.dll, never delivered. */
#include <windows.h>
#include <wincrypt.h>
#include <ntsecapi.h>
#include <string.h>

/* Rust's standard library asks Windows for randomness here; Wine 8 does not have it. */
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size)
{
    return RtlGenRandom(data, (ULONG)size);
}

/* Windows deletes at once. Wine 8 writes a deletion down when the store is closed, which it never is after one: have it written now. */
static BOOL WINAPI delete_and_write(PCCERT_CONTEXT certificate)
{
    HCERTSTORE store = CertDuplicateStore(certificate->hCertStore);
    BOOL deleted = CertDeleteCertificateFromStore(certificate);
    CertControlStore(store, 0, CERT_STORE_CTRL_COMMIT, NULL);
    CertCloseStore(store, 0);
    return deleted;
}

static void divert(BYTE *image)
{
    IMAGE_NT_HEADERS *headers = (IMAGE_NT_HEADERS *)(image + ((IMAGE_DOS_HEADER *)image)->e_lfanew);
    IMAGE_DATA_DIRECTORY *imports = &headers->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_IMPORT];
    IMAGE_IMPORT_DESCRIPTOR *from = (IMAGE_IMPORT_DESCRIPTOR *)(image + imports->VirtualAddress);
    for (; imports->VirtualAddress && from->Name; from++) {
        IMAGE_THUNK_DATA *name = (IMAGE_THUNK_DATA *)(image + from->OriginalFirstThunk);
        IMAGE_THUNK_DATA *place = (IMAGE_THUNK_DATA *)(image + from->FirstThunk);
        for (; name->u1.AddressOfData; name++, place++) {
            IMAGE_IMPORT_BY_NAME *import = (IMAGE_IMPORT_BY_NAME *)(image + name->u1.AddressOfData);
            DWORD before;
            if (IMAGE_SNAP_BY_ORDINAL(name->u1.Ordinal) || strcmp(import->Name, "CertDeleteCertificateFromStore")) continue;
            VirtualProtect(place, sizeof *place, PAGE_READWRITE, &before);
            place->u1.Function = (ULONGLONG)delete_and_write;
            VirtualProtect(place, sizeof *place, before, &before);
        }
    }
}

BOOL WINAPI DllMain(HINSTANCE self, DWORD reason, void *reserved)
{
    (void)self, (void)reserved;
    if (reason == DLL_PROCESS_ATTACH) divert((BYTE *)GetModuleHandleW(NULL));
    return TRUE;
}
