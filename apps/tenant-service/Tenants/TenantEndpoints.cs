using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.EntityFrameworkCore;
using MultiAgent.Contracts.Identity;
using MultiAgent.Data.Tenancy;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Identity;
using MultiAgent.Tenants.Users;

namespace MultiAgent.Tenants.Tenants;

internal static class TenantEndpoints
{
    public static void MapOwnTenant(this IEndpointRouteBuilder routes)
    {
        RouteGroupBuilder group = routes.MapGroup("/api/v1/tenant").WithTags("Tenant");
        group.MapGet("", GetAsync).AllowAnyCaller().WithSummary("Get the tenant that the credential belongs to");
        group.MapPatch("", UpdateAsync).RequireScope(Scopes.TenantManage).WithSummary("Rename the tenant; its limits are the operator's");
    }

    private static async Task<Ok<TenantView>> GetAsync(HttpContext http, ServiceDb<TenantDb> db, CancellationToken cancellationToken)
    {
        string tenantId = http.GetCaller().TenantId;
        await using TenantDb context = db.Open(tenantId);
        return TypedResults.Ok(TenantView.Of(await context.Tenants.AsNoTracking().SingleAsync(t => t.Id == tenantId, cancellationToken)));
    }

    private static async Task<Results<Ok<TenantView>, ProblemHttpResult>> UpdateAsync(
        UpdateOwnTenantRequest request, HttpContext http, ServiceDb<TenantDb> db, CancellationToken cancellationToken)
    {
        if (request.Name?.Trim() is not { Length: > 0 and <= UserRules.MaxName } name) return Problems.Invalid("name", $"must have 1 to {UserRules.MaxName} characters");
        string tenantId = http.GetCaller().TenantId;
        await using TenantDb context = db.Open(tenantId);
        Tenant tenant = await context.Tenants.SingleAsync(t => t.Id == tenantId, cancellationToken);
        tenant.Name = name;
        await context.SaveChangesAsync(cancellationToken);
        return TypedResults.Ok(TenantView.Of(tenant));
    }
}
