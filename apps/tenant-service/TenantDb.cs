using Microsoft.EntityFrameworkCore;
using MultiAgent.Data.Tenancy;
using MultiAgent.Tenants.ApiKeys;
using MultiAgent.Tenants.Auth;
using MultiAgent.Tenants.Tenants;
using MultiAgent.Tenants.Users;

namespace MultiAgent.Tenants;

/// <summary>The tenant service's tables.</summary>
internal sealed class TenantDb(DbContextOptions<TenantDb> options, TenantScope scope) : ServiceDbContext(options, scope)
{
    protected override string ServiceName => TenantModule.Service;

    public DbSet<Tenant> Tenants => Set<Tenant>();

    public DbSet<User> Users => Set<User>();

    public DbSet<ApiKey> ApiKeys => Set<ApiKey>();

    public DbSet<RefreshToken> RefreshTokens => Set<RefreshToken>();

    public DbSet<SigningKey> SigningKeys => Set<SigningKey>();
}
