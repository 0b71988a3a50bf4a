namespace MultiAgent.Gateway.Requests;

/// <summary>Section <c>RequestLog</c>: what is kept of each request. How long it stays, <c>Data:RequestDays</c> says.</summary>
public sealed class RequestLogOptions
{
    /// <summary>True (default): each request of an authenticated caller gets a record that its tenant can read.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>True (default): with the address that the request came from. False where that must not be kept.</summary>
    public bool ClientAddresses { get; set; } = true;
}
