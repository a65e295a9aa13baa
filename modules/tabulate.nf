// The paper's table, one column a method, and the tables behind it.
process TABULATE {
    label 'light'

    input:
    path evaluations, stageAs: 'evaluation?/*'
    val options
    val package_digest

    output:
    path 'tables', type: 'dir', emit: tables
    tuple val(task.process), eval('wssamnet --version'), topic: versions

    script:
    """
    wssamnet --threads ${task.cpus} tables evaluation*/* --out tables ${options}
    """

    stub:
    """
    mkdir tables
    echo stub > tables/table1.md
    """
}
