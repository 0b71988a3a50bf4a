using System.Xml.Linq;
using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.AspNetCore.DataProtection.Repositories;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiAgent.Data;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;

namespace MultiAgent.Hosting.Keys;

/// <summary>
/// Where the keys lie that encrypt what is stored encrypted: in a folder of the process's own user, or in the database where replicas share one, since
/// each must read what another has written.
/// </summary>
internal sealed class KeyRing(IOptions<DataOptions> data, Databases databases, IServiceProvider services, ILoggerFactory loggers) : IConfigureOptions<KeyManagementOptions>
{
    public void Configure(KeyManagementOptions options) => options.XmlRepository = databases.IsInPostgres("host")
        ? new PostgresKeys(services.GetRequiredKeyedService<PostgresDatabase>("host"))
        : new FileSystemXmlRepository(OwnFolder(Path.Combine(data.Value.Directory, "keys")), loggers);

    // For nobody but the user that the process runs as.
    private static DirectoryInfo OwnFolder(string path) => OperatingSystem.IsWindows()
        ? Directory.CreateDirectory(path)
        : Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);

    private sealed class PostgresKeys(PostgresDatabase database) : IXmlRepository
    {
        private static readonly TenantScope Platform = TenantScope.System("key ring");

        // The interface is synchronous. It is called at the start, and then once a day.
        public IReadOnlyCollection<XElement> GetAllElements() => Task.Run(() => database.ReadAsync(Platform,
            session => session.Sql("SELECT xml FROM host.data_protection_keys ORDER BY created_at").ListAsync(row => XElement.Parse(row.Text(0))))).GetAwaiter().GetResult();

        public void StoreElement(XElement element, string friendlyName) => Task.Run(() => database.WriteAsync(Platform,
            session => session.Sql("INSERT INTO host.data_protection_keys (id, xml) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING", friendlyName, element.ToString(SaveOptions.DisableFormatting)).ExecuteAsync())).GetAwaiter().GetResult();
    }
}
