namespace MultiAgent.Contracts;

/// <summary>A bounded queue is full. The request was not accepted and may be repeated later (HTTP 503 with Retry-After).</summary>
public sealed class OverloadedException(string message) : Exception(message);
