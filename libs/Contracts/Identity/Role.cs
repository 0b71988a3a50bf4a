namespace MultiAgent.Contracts.Identity;

/// <summary>The role of a user in a tenant, strongest first. Wire names are the lower-case names.</summary>
public enum Role
{
    Owner,
    Admin,
    Developer,
    Analyst,
    Viewer,
}
