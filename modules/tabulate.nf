include { writeText } from './cases'

// The paper's table, one column a method, and the tables behind it.
process TABULATE {
    label 'light'

    input:
    path evaluations, stageAs: 'evaluation?/*'
    val planned // CSV: method, case, and why it is missing
    val options
    val package_digest

    output:
    path 'tables', type: 'dir', emit: tables
    tuple val(task.process), eval('wssamnet --version'), topic: versions

    script:
    """
    ${writeText('planned.csv', planned)}
    wssamnet --threads ${task.cpus} tables ${evaluations ? 'evaluation*/*' : ''} --planned planned.csv --out tables ${options}
    """

    stub:
    """
    mkdir tables
    ${writeText('tables/table1.md', planned)}
    """
}
